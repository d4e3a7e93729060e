#include "base/memory.h"

#include <cstdlib>
#include <new>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#endif

namespace pyembed {

void* allocate(std::size_t bytes) {
    constexpr std::size_t line = 64;
    const bool huge = bytes >= huge_page;
    const std::size_t alignment = huge ? huge_page : line;
    const std::size_t size = round_up(bytes > 0 ? bytes : 1, alignment);
    if (size < bytes) throw std::bad_alloc();
#if defined(_WIN32)
    void* data = _aligned_malloc(size, alignment);
#else
    void* data = std::aligned_alloc(alignment, size);
#endif
    if (data == nullptr) throw std::bad_alloc();
    if (huge) advise_huge_pages(data, bytes);
    return data;
}

void release(void* data) noexcept {
#if defined(_WIN32)
    _aligned_free(data);
#else
    std::free(data);
#endif
}

void advise_huge_pages([[maybe_unused]] void* data, [[maybe_unused]] std::size_t bytes) {
#if defined(MADV_HUGEPAGE)
    madvise(data, bytes, MADV_HUGEPAGE);
#endif
}

}  // namespace pyembed
