#include "base/memory.h"

#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#define PYEMBED_HAS_MMAP 1
#endif

namespace pyembed {
namespace {

// Rows read at random miss the TLB once each on small pages. Advice only: refusing it costs speed alone.
void advise_huge_pages([[maybe_unused]] void* data, [[maybe_unused]] std::size_t bytes) {
#if defined(MADV_HUGEPAGE)
    madvise(data, bytes, MADV_HUGEPAGE);
#endif
}

#if defined(PYEMBED_HAS_MMAP)

// The system rounds up further where its own are larger.
constexpr std::size_t page = 4096;
constexpr std::size_t largest_page = 64 << 10;

std::size_t mapped_size(std::size_t bytes) {
    return round_up(bytes, bytes >= huge_page ? huge_page : page);
}

void* map(std::size_t bytes, bool promised) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | (promised ? 0 : MAP_NORESERVE);
    void* const mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    return mapped;
}

// Two MiB more than asked, and the start moved up, so that the first huge page is a whole one.
void* map_aligned(std::size_t size, bool promised) {
    char* const from = static_cast<char*>(map(size + huge_page, promised));
    const std::size_t address = reinterpret_cast<std::size_t>(from);
    const std::size_t lead = round_up(address, huge_page) - address;
    if (lead > 0) munmap(from, lead);
    if (lead < huge_page) munmap(from + lead + size, huge_page - lead);
    advise_huge_pages(from + lead, size);
    return from + lead;
}

#endif

}  // namespace

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

#if defined(PYEMBED_HAS_MMAP)

void* map_pages(std::size_t bytes, bool promised) {
    const std::size_t size = mapped_size(bytes);
    if (size < bytes || size + huge_page < size) throw std::bad_alloc();
    return size < huge_page ? map(size, promised) : map_aligned(size, promised);
}

void unmap_pages(void* data, std::size_t bytes) noexcept {
    munmap(data, mapped_size(bytes));
}

void* map_snugly(std::size_t bytes) {
    const std::size_t size = round_up(bytes, largest_page);
    if (size < bytes || size + huge_page < size) throw std::bad_alloc();
    return map_aligned(size, true);
}

void unmap_snugly(void* data, std::size_t bytes) noexcept {
    munmap(data, round_up(bytes, largest_page));
}

#else

void* map_pages(std::size_t bytes, bool) {
    void* const data = allocate(bytes);
    std::memset(data, 0, bytes);
    return data;
}

void unmap_pages(void* data, std::size_t) noexcept {
    release(data);
}

void* map_snugly(std::size_t bytes) {
    return map_pages(bytes, true);
}

void unmap_snugly(void* data, std::size_t) noexcept {
    release(data);
}

#endif

}  // namespace pyembed
