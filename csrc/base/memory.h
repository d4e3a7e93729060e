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

// Rows read at random miss the TLB once each on small pages. Advice only: refusing it costs speed alone.
void advise_huge_pages(void* data, std::size_t bytes);

}  // namespace pyembed
