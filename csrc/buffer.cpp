#include "buffer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iterator>
#include <mutex>
#include <new>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <sys/mman.h>
#define PYEMBED_HAS_MMAP 1
#endif

namespace pyembed {
namespace {

constexpr std::size_t line = 64;
constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t smallest_kept = std::size_t{64} << 10;
constexpr std::size_t most_kept = std::size_t{256} << 20;  // bytes, over all kept blocks

std::size_t round_up(std::size_t bytes, std::size_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

void* allocate(std::size_t bytes, std::size_t alignment) {
    const std::size_t size = round_up(bytes, alignment);
    if (size < bytes) throw std::bad_alloc();
#if defined(_WIN32)
    void* data = _aligned_malloc(size, alignment);
#else
    void* data = std::aligned_alloc(alignment, size);
#endif
    if (data == nullptr) throw std::bad_alloc();
    return data;
}

void release(void* data) {
#if defined(_WIN32)
    _aligned_free(data);
#else
    std::free(data);
#endif
}

// Rows read at random miss the TLB once each on small pages. Advice only: refusing it costs speed alone.
void advise_huge_pages([[maybe_unused]] void* data, [[maybe_unused]] std::size_t bytes) {
#if defined(MADV_HUGEPAGE)
    madvise(data, bytes, MADV_HUGEPAGE);
#endif
}

struct Block {
    void* data;
    std::size_t bytes;
};

struct Kept {
    std::mutex mutex;
    std::deque<Block> blocks;  // the longest unused first
    std::size_t bytes = 0;
};

// Never destroyed: arrays may outlive the static objects of this module at exit.
Kept& kept() {
    static Kept* const instance = [] {
#if defined(PYEMBED_HAS_MMAP)
        // A fork while another thread holds the mutex would leave it locked in the child for ever.
        pthread_atfork([] { kept().mutex.lock(); }, [] { kept().mutex.unlock(); },
                       [] { kept().mutex.unlock(); });
#endif
        return new Kept;
    }();
    return *instance;
}

// Blocks come in a few sizes, at most a quarter above what is asked for, so that batches of slightly
// varying size find the block of the last one.
std::size_t size_class(std::size_t bytes) {
    std::size_t step = smallest_kept;
    while (step * 4 < bytes) step *= 2;
    return round_up(bytes, step);
}

}  // namespace

void* allocate_zeroed(std::size_t bytes) {
#if defined(PYEMBED_HAS_MMAP)
    if (bytes >= huge_page) {
        // Two MiB more than asked, and the start moved up, so that the first huge page is a whole one.
        const std::size_t size = round_up(bytes, huge_page) + huge_page;
        if (size < bytes) throw std::bad_alloc();
        void* mapped =
            mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (mapped == MAP_FAILED) throw std::bad_alloc();
        char* const from = static_cast<char*>(mapped);
        const std::size_t lead =
            round_up(reinterpret_cast<std::size_t>(from), huge_page) - reinterpret_cast<std::size_t>(from);
        if (lead > 0) munmap(from, lead);
        if (lead < huge_page) munmap(from + size - (huge_page - lead), huge_page - lead);
        advise_huge_pages(from + lead, size - huge_page);
        return from + lead;
    }
#endif
    void* data = allocate(bytes > 0 ? bytes : 1, line);
    std::memset(data, 0, bytes);
    return data;
}

void free_zeroed(void* data, std::size_t bytes) noexcept {
#if defined(PYEMBED_HAS_MMAP)
    if (bytes >= huge_page) {
        munmap(data, round_up(bytes, huge_page));
        return;
    }
#else
    (void)bytes;
#endif
    release(data);
}

bool Buffer::is_kept(std::size_t bytes) {
    return bytes >= smallest_kept && bytes <= most_kept;
}

Buffer::Buffer(std::size_t bytes) : bytes_(bytes) {
    if (is_kept(bytes)) {
        bytes_ = size_class(bytes);
        Kept& pool = kept();
        const std::lock_guard<std::mutex> lock(pool.mutex);
        // The one that died last: some of it may still be in the cache.
        const auto found = std::find_if(pool.blocks.rbegin(), pool.blocks.rend(),
                                        [&](const Block& block) { return block.bytes == bytes_; });
        if (found != pool.blocks.rend()) {
            data_ = found->data;
            pool.bytes -= bytes_;
            pool.blocks.erase(std::next(found).base());
            return;
        }
    }
    const bool huge = bytes_ >= huge_page;
    data_ = allocate(bytes_ > 0 ? bytes_ : 1, huge ? huge_page : line);
    if (huge) advise_huge_pages(data_, bytes_);
}

Buffer::~Buffer() {
    if (data_ == nullptr) return;
    if (!is_kept(bytes_)) {
        release(data_);
        return;
    }
    Kept& pool = kept();
    const std::lock_guard<std::mutex> lock(pool.mutex);
    // Sizes that are not asked for any more make room.
    while (pool.bytes + bytes_ > most_kept) {
        release(pool.blocks.front().data);
        pool.bytes -= pool.blocks.front().bytes;
        pool.blocks.pop_front();
    }
    try {
        pool.blocks.push_back({data_, bytes_});
        pool.bytes += bytes_;
    } catch (const std::bad_alloc&) {
        release(data_);
    }
}

void release_memory() {
    Kept& pool = kept();
    const std::lock_guard<std::mutex> lock(pool.mutex);
    for (const Block& block : pool.blocks) release(block.data);
    pool.blocks.clear();
    pool.bytes = 0;
}

}  // namespace pyembed
