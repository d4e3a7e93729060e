// What decided how rows at random are fetched and written: the level of the cache that they are prefetched
// into, how far ahead, and whether an output is streamed past the caches.
//
//     g++ -std=c++17 -O3 -mavx2 -fopenmp prefetch.cpp -o prefetch && OMP_NUM_THREADS=2 ./prefetch
//
// Prints milliseconds, the median of interleaved rounds, each on other ids. Knows nothing of pyembed. For
// x86.

#include <immintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

namespace {

constexpr std::size_t table_bytes = std::size_t{1} << 30;
constexpr std::size_t output_bytes = std::size_t{1} << 26;
constexpr int rounds = 15;
constexpr int batches = 8;
constexpr std::size_t lane = 8;

enum Hint { none, first_level, second_level };

using Ids = std::vector<std::int64_t>;

struct Work {
    const float* table;
    float* out;
    std::size_t dim;
    std::size_t ahead;
};

float* allocate(std::size_t bytes) {
    void* const data = std::aligned_alloc(std::size_t{2} << 20, bytes);
    if (data == nullptr) std::abort();
    madvise(data, bytes, MADV_HUGEPAGE);
    std::fill_n(static_cast<float*>(data), bytes / sizeof(float), 1.0F);
    return static_cast<float*>(data);
}

template <Hint hint>
void prefetch(const float* row, std::size_t dim) {
    for (std::size_t at = 0; at < dim; at += 16) {
        const auto* const line = reinterpret_cast<const char*>(row + at);
        if (hint == first_level) _mm_prefetch(line, _MM_HINT_T0);
        if (hint == second_level) _mm_prefetch(line, _MM_HINT_T1);
    }
}

template <class Row>
void for_rows(const Ids& ids, Row row) {
    const auto count = static_cast<std::int64_t>(ids.size());
#pragma omp parallel for schedule(dynamic, 1)
    for (std::int64_t block = 0; block < count; block += 256)
        for (std::int64_t i = block; i < std::min(block + 256, count); ++i) row(static_cast<std::size_t>(i));
}

template <Hint hint>
void read(const Work& work, const Ids& ids) {
    for_rows(ids, [&](std::size_t i) {
        if (i + work.ahead < ids.size())
            prefetch<hint>(work.table + ids[i + work.ahead] * work.dim, work.dim);
        const float* const row = work.table + ids[i] * work.dim;
        __m256 sum = _mm256_setzero_ps();
        for (std::size_t k = 0; k < work.dim; k += lane) sum = _mm256_add_ps(sum, _mm256_loadu_ps(row + k));
        if (_mm256_cvtss_f32(sum) < 0) work.out[0] = 0;  // so that the sum is needed
    });
}

template <Hint hint, bool streams>
void gather(const Work& work, const Ids& ids) {
    for_rows(ids, [&](std::size_t i) {
        if (i + work.ahead < ids.size())
            prefetch<hint>(work.table + ids[i + work.ahead] * work.dim, work.dim);
        const float* const row = work.table + ids[i] * work.dim;
        float* const to = work.out + i * work.dim;
        for (std::size_t k = 0; k < work.dim; k += lane) {
            if (streams)
                _mm256_stream_ps(to + k, _mm256_loadu_ps(row + k));
            else
                _mm256_storeu_ps(to + k, _mm256_loadu_ps(row + k));
        }
    });
}

template <Hint hint>
void update(const Work& work, const Ids& ids) {
    auto* const table = const_cast<float*>(work.table);
    for_rows(ids, [&](std::size_t i) {
        if (i + work.ahead < ids.size()) prefetch<hint>(table + ids[i + work.ahead] * work.dim, work.dim);
        float* const row = table + ids[i] * work.dim;
        for (std::size_t k = 0; k < work.dim; k += lane)
            _mm256_storeu_ps(row + k, _mm256_mul_ps(_mm256_loadu_ps(row + k), _mm256_set1_ps(1.5F)));
    });
}

struct Contestant {
    const char* name;
    void (*run)(const Work&, const Ids&);
    std::size_t ahead;
    std::vector<double> seconds;
};

void contest(std::size_t dim, const float* table, float* out) {
    const std::size_t count = output_bytes / (dim * sizeof(float));
    const std::size_t rows = table_bytes / (dim * sizeof(float));
    std::mt19937_64 random(dim);
    std::vector<Ids> ids(batches, Ids(count));
    for (Ids& batch : ids)
        for (std::int64_t& id : batch) id = static_cast<std::int64_t>(random() % rows);
    std::vector<Contestant> all{{"read, no prefetch", read<none>, 0, {}},
                                {"gather, no prefetch", gather<none, false>, 0, {}},
                                {"update, no prefetch", update<none>, 0, {}}};
    for (const std::size_t ahead : {2, 8, 32, 64}) {
        all.push_back({"read, first level", read<first_level>, ahead, {}});
        all.push_back({"read, second level", read<second_level>, ahead, {}});
        all.push_back({"gather, first level", gather<first_level, false>, ahead, {}});
        all.push_back({"gather, second level", gather<second_level, false>, ahead, {}});
        all.push_back({"gather, second level, streaming", gather<second_level, true>, ahead, {}});
        all.push_back({"update, first level", update<first_level>, ahead, {}});
        all.push_back({"update, second level", update<second_level>, ahead, {}});
    }
    std::size_t turn = 0;
    for (int round = 0; round < rounds; ++round) {
        for (Contestant& one : all) {
            const auto started = std::chrono::steady_clock::now();
            one.run({table, out, dim, one.ahead}, ids[turn++ * 5 % batches]);
            const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - started;
            if (round > 1) one.seconds.push_back(taken.count());
        }
    }
    std::printf("%zu rows of %zu bytes\n", count, dim * sizeof(float));
    for (Contestant& one : all) {
        std::sort(one.seconds.begin(), one.seconds.end());
        std::printf("  %-32s %2zu rows ahead  %6.2f ms\n", one.name, one.ahead,
                    one.seconds[one.seconds.size() / 2] * 1e3);
    }
}

}  // namespace

int main() {
    float* const table = allocate(table_bytes);
    float* const out = allocate(output_bytes);
    for (const std::size_t dim : {16, 64, 256, 992}) contest(dim, table, out);
}
