#include "base/buffer.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <mutex>
#include <new>

#include "base/memory.h"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define PYEMBED_HAS_FORK 1
#endif

namespace pyembed {
namespace {

constexpr std::size_t smallest_kept = std::size_t{64} << 10;
constexpr std::size_t most_kept = std::size_t{256} << 20;  // bytes, over all kept blocks

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
#if defined(PYEMBED_HAS_FORK)
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

// Blocks that are kept are mapped one by one: memory that an allocator cut them from could not be given back
// while a neighbour lives.
void* map_or_make_room(std::size_t bytes) {
    try {
        return map_pages(bytes, true);
    } catch (const std::bad_alloc&) {
        release_memory();
        return map_pages(bytes, true);
    }
}

}  // namespace

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
    data_ = is_kept(bytes) ? map_or_make_room(bytes_) : allocate(bytes_);
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
        unmap_pages(pool.blocks.front().data, pool.blocks.front().bytes);
        pool.bytes -= pool.blocks.front().bytes;
        pool.blocks.pop_front();
    }
    try {
        pool.blocks.push_back({data_, bytes_});
        pool.bytes += bytes_;
    } catch (const std::bad_alloc&) {
        unmap_pages(data_, bytes_);
    }
}

void release_memory() {
    Kept& pool = kept();
    const std::lock_guard<std::mutex> lock(pool.mutex);
    for (const Block& block : pool.blocks) unmap_pages(block.data, block.bytes);
    pool.blocks.clear();
    pool.bytes = 0;
}

}  // namespace pyembed
