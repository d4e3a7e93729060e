// The sets that chunk loops are compiled for: kernels.cpp and key_kernels.cpp, once each.
#pragma once

#include <string>
#include <vector>

namespace pyembed {

// Picks the instruction set for the life of the process. `wanted` names one, or is empty for the fastest
// that this processor has. Throws std::invalid_argument where it is unknown or not to be had here.
void choose_instruction_set(const std::string& wanted);

const char* instruction_set();

// What this build has and this processor can run, slowest first.
std::vector<std::string> instruction_sets();

// Each fills the table of base/kernel.h with its loops.
namespace baseline {
void use_kernels();
}
#if defined(PYEMBED_X86_SETS)
namespace avx2 {
void use_kernels();
}
namespace avx512 {
void use_kernels();
}
#endif

}  // namespace pyembed
