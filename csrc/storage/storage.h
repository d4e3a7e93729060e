// Where the bytes of rows come from, and how they are given back.
#pragma once

namespace pyembed {

// Whoever holds one keeps its bytes where they are. A table knows no more of them: they may be its own, a
// caller's array or a file.
class Storage {
  public:
    virtual ~Storage() = default;
};

}  // namespace pyembed
