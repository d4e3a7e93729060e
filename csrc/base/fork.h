// What a child made by fork must know: the parent's threads do not exist there.
#pragma once

namespace pyembed {

// How many forks lie between this process and the one that loaded the library.
int fork_generation();

// An OpenMP runtime that the parent used would wait for its threads for ever, so such a child works in its
// calling thread alone.
inline bool is_forked_child() {
    return fork_generation() > 0;
}

}  // namespace pyembed
