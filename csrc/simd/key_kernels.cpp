// The loops over keys, compiled once per instruction set as those of kernels.cpp are.
#include "base/kernel.h"
#include "keys/kernels.h"
#include "simd/find_keys.h"
#include "simd/insert_keys.h"
#include "simd/instruction_set.h"

namespace pyembed {
namespace PYEMBED_ISA {

void use_key_kernels() {
    KernelInUse<HashIntegers>::function = hash_integers;
    KernelInUse<FindIntegers>::function = find_integers;
    KernelInUse<FindTexts>::function = find_texts;
    KernelInUse<InsertIntegers>::function = insert_integers;
    KernelInUse<InsertTexts>::function = insert_texts;
}

}  // namespace PYEMBED_ISA
}  // namespace pyembed
