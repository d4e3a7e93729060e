#include "storage/anonymous.h"

#include <cstring>
#include <new>

#include "base/memory.h"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#define PYEMBED_HAS_MMAP 1
#endif

namespace pyembed {
namespace {

#if defined(PYEMBED_HAS_MMAP)

// Whole huge pages: two MiB more than asked are mapped, and the start is moved up to the first whole one.
void* map_zeroed(std::size_t bytes) {
    const std::size_t size = round_up(bytes, huge_page) + huge_page;
    if (size < bytes) throw std::bad_alloc();
    void* const mapped =
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    char* const from = static_cast<char*>(mapped);
    const std::size_t address = reinterpret_cast<std::size_t>(from);
    const std::size_t lead = round_up(address, huge_page) - address;
    if (lead > 0) munmap(from, lead);
    if (lead < huge_page) munmap(from + size - (huge_page - lead), huge_page - lead);
    advise_huge_pages(from + lead, size - huge_page);
    return from + lead;
}

bool is_mapped(std::size_t bytes) {
    return bytes >= huge_page;
}

void unmap(void* data, std::size_t bytes) {
    munmap(data, round_up(bytes, huge_page));
}

#else

void* map_zeroed(std::size_t) {
    throw std::bad_alloc();
}

bool is_mapped(std::size_t) {
    return false;
}

void unmap(void*, std::size_t) {}

#endif

}  // namespace

AnonymousMemory::AnonymousMemory(std::size_t bytes) : bytes_(bytes) {
    if (is_mapped(bytes)) {
        data_ = map_zeroed(bytes);
    } else {
        data_ = allocate(bytes);
        std::memset(data_, 0, bytes);
    }
}

AnonymousMemory::~AnonymousMemory() {
    if (is_mapped(bytes_))
        unmap(data_, bytes_);
    else
        release(data_);
}

}  // namespace pyembed
