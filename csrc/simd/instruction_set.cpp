#include "simd/instruction_set.h"

#include <stdexcept>

#if defined(PYEMBED_X86_SETS) && defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>
#endif

namespace pyembed {

namespace {

bool always() {
    return true;
}

#if defined(PYEMBED_X86_SETS)
#if defined(_MSC_VER)
// The processor must have the instructions, and the system must save the registers (XCR0).
bool has(int ebx_bits, unsigned long long saved) {
    int leaf1[4];
    int leaf7[4];
    __cpuid(leaf1, 1);
    constexpr int osxsave = 1 << 27;
    if ((leaf1[2] & osxsave) == 0 || (_xgetbv(0) & saved) != saved) return false;
    __cpuidex(leaf7, 7, 0);
    return (leaf7[1] & ebx_bits) == ebx_bits;
}
bool has_avx2() {
    return has(1 << 5, 0x6);
}
bool has_avx512() {
    return has(1 << 16 | 1 << 17 | 1 << 30 | static_cast<int>(1u << 31), 0xe6);
}
#else
bool has_avx2() {
    return __builtin_cpu_supports("avx2");
}
bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}
#endif
#endif

struct Choice {
    const char* name;
    void (*use_kernels)();
    bool (*available)();
};

constexpr Choice choices[] = {
    {"baseline", baseline::use_kernels, always},
#if defined(PYEMBED_X86_SETS)
    {"avx2", avx2::use_kernels, has_avx2},
    {"avx512", avx512::use_kernels, has_avx512},
#endif
};

const char* in_use = "";

}  // namespace

std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    for (const Choice& choice : choices)
        if (choice.available()) names.emplace_back(choice.name);
    return names;
}

void choose_instruction_set(const std::string& wanted) {
    const Choice* found = nullptr;
    std::string available;
    for (const Choice& choice : choices) {
        if (!choice.available()) continue;
        available += (available.empty() ? "" : ", ") + std::string(choice.name);
        if (wanted.empty() || wanted == choice.name) found = &choice;
    }
    if (found == nullptr)
        throw std::invalid_argument(
            "PYEMBED_ISA='" + wanted +
            "' is not an instruction set of this machine and build (available: " + available + ")");
    found->use_kernels();
    in_use = found->name;
}

const char* instruction_set() {
    return in_use;
}

}  // namespace pyembed
