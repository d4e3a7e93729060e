// Indexes that Python's threads share.
#pragma once

#include "keys/text_index.h"
#include "python/no_gil.h"
#include "table/table_lock.h"

namespace pyembed {

// An index that many may read at once, and one may change.
template <class Index>
struct Locked {
    Index index;
    mutable TableLock lock;

    template <class... A>
    explicit Locked(A... arguments) : index(arguments...) {}

    // f(index) without the GIL, beside other readers
    template <class F>
    auto reading(F f) const {
        const NoGil no_gil;
        const TableLock::Shared shared(lock);
        return f(index);
    }
    template <class F>
    auto writing(F f) {
        const NoGil no_gil;
        const TableLock::Alone alone(lock);
        return f(index);
    }
};

using Strings = Locked<TextIndex>;

}  // namespace pyembed
