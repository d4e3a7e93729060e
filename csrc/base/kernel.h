// How chunk loops, which exist once for each instruction set, are reached: by name. A name is a type K with
// the loop's type as K::Function; each room has its own in kernels.h.
#pragma once

namespace pyembed {

// Filled when an instruction set is chosen, as the library is loaded: see simd/kernels.cpp.
template <class K>
struct KernelInUse {
    static inline typename K::Function* function = nullptr;
};

template <class K>
typename K::Function* kernel() {
    return KernelInUse<K>::function;
}

}  // namespace pyembed
