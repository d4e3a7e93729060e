#pragma once

#include <string>
#include <vector>

namespace pyembed {

// Picks the instruction set for the life of the process. `wanted` names one, or is empty for the fastest
// that this processor has. Throws std::invalid_argument where it is unknown or not to be had here.
void choose_instruction_set(const std::string& wanted);

// What this build has and this processor can run, slowest first.
std::vector<std::string> instruction_sets();

}  // namespace pyembed
