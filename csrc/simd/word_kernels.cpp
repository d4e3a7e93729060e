// The loops that learn word vectors, compiled once per instruction set as those of kernels.cpp are.
#if defined(_MSC_VER)
#pragma fp_contract(off)
#endif

#include "base/kernel.h"
#include "simd/instruction_set.h"
#include "simd/learn_windows.h"
#include "simd/slots.h"
#include "words/kernels.h"

namespace pyembed {
namespace PYEMBED_ISA {

void use_word_kernels() {
    KernelInUse<ReadSlots>::function = read_slots;
    KernelInUse<AddChanges>::function = add_changes;
    KernelInUse<LearnEachInput>::function = learn_each_input;
    KernelInUse<LearnMeanInput>::function = learn_mean_input;
}

}  // namespace PYEMBED_ISA
}  // namespace pyembed
