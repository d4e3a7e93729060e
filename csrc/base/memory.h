// Where memory comes from: aligned to cache lines, on huge pages where large.
#pragma once

#include <cstddef>

namespace pyembed {

constexpr std::size_t huge_page = std::size_t{2} << 20;

inline std::size_t round_up(std::size_t bytes, std::size_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

// Uninitialised, aligned to a cache line, or to a huge page where it is as large. Throws std::bad_alloc.
void* allocate(std::size_t bytes);
void release(void* data) noexcept;

// Zeroed pages of the system's own, which has them back at once when they are unmapped; aligned to a huge
// page where they are as large. `promised`: the system shall refuse what it cannot hold when all of it is
// written; else pages that are never touched cost nothing, however many there are. Throws std::bad_alloc.
// Where the system cannot map memory, it is allocated.
void* map_pages(std::size_t bytes, bool promised);
void unmap_pages(void* data, std::size_t bytes) noexcept;

// The same for at least a huge page, promised, without rounding up: the end lies on small pages.
void* map_snugly(std::size_t bytes);
void unmap_snugly(void* data, std::size_t bytes) noexcept;

}  // namespace pyembed
