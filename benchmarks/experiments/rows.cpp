// What decided how rows at random are fetched, written and laid out: the level of the cache that they are
// prefetched into, how far ahead, whether an output is streamed past the caches, and whether Adam's moments
// of a row lie in an array each or side by side.
//
//     g++ -std=c++17 -O3 -march=native -ffp-contract=off -fno-math-errno -fopenmp rows.cpp -o rows
//     OMP_NUM_THREADS=2 ./rows
//
// Prints milliseconds, the median of interleaved rounds, each on other ids. Knows nothing of pyembed. For x86
// with AVX2 and 6 GB.

#include <immintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr std::size_t table_bytes = std::size_t{1} << 30;
constexpr std::size_t output_bytes = std::size_t{1} << 26;
constexpr int rounds = 15;
constexpr int batches = 8;
constexpr std::size_t lane = 8;
constexpr std::size_t scatter = 40503;  // odd, so that a power of two of places is met once each

enum Hint { none, first_level, second_level };

using Ids = std::vector<std::int64_t>;

// Rows of w and out are `dim` numbers; those of m and v start `stride` numbers apart.
struct Work {
    float* w;
    float* m;
    float* v;
    std::size_t stride;
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

template <Hint hint, class Row>
void for_rows(const Work& work, const Ids& ids, Row row) {
    const auto count = static_cast<std::int64_t>(ids.size());
#pragma omp parallel for schedule(dynamic, 1)
    for (std::int64_t block = 0; block < count; block += 256) {
        for (std::int64_t at = block; at < std::min(block + 256, count); ++at) {
            const auto i = static_cast<std::size_t>(at);
            if (i + work.ahead < ids.size())
                prefetch<hint>(work.w + ids[i + work.ahead] * work.dim, work.dim);
            row(i, work.w + ids[i] * work.dim);
        }
    }
}

template <Hint hint>
void read(const Work& work, const Ids& ids) {
    for_rows<hint>(work, ids, [&](std::size_t, const float* row) {
        __m256 sum = _mm256_setzero_ps();
        for (std::size_t k = 0; k < work.dim; k += lane) sum = _mm256_add_ps(sum, _mm256_loadu_ps(row + k));
        if (_mm256_cvtss_f32(sum) < 0) work.out[0] = 0;  // so that the sum is needed
    });
}

template <Hint hint, bool streams>
void gather(const Work& work, const Ids& ids) {
    for_rows<hint>(work, ids, [&](std::size_t i, const float* row) {
        for (std::size_t k = 0; k < work.dim; k += lane) {
            float* const to = work.out + i * work.dim + k;
            if (streams)
                _mm256_stream_ps(to, _mm256_loadu_ps(row + k));
            else
                _mm256_storeu_ps(to, _mm256_loadu_ps(row + k));
        }
    });
}

template <Hint hint>
void update(const Work& work, const Ids& ids) {
    for_rows<hint>(work, ids, [&](std::size_t, float* row) {
        for (std::size_t k = 0; k < work.dim; ++k) row[k] *= 1.5F;
    });
}

// A step of Adam on sorted ids; `out` has their gradients, which were not sorted with them.
void adam(const Work& work, const Ids& ids) {
    const auto gradient = [&](std::size_t i) { return work.out + i * scatter % ids.size() * work.dim; };
    for_rows<second_level>(work, ids, [&](std::size_t i, float* __restrict w) {
        const std::size_t next = std::min(i + work.ahead, ids.size() - 1);
        prefetch<second_level>(gradient(next), work.dim);
        prefetch<second_level>(work.m + ids[next] * work.stride, work.dim);
        prefetch<second_level>(work.v + ids[next] * work.stride, work.dim);
        const float* const __restrict g = gradient(i);
        float* const __restrict m = work.m + ids[i] * work.stride;
        float* const __restrict v = work.v + ids[i] * work.stride;
        for (std::size_t k = 0; k < work.dim; ++k) {
            m[k] += 0.1F * (g[k] - m[k]);
            v[k] += 0.001F * (g[k] * g[k] - v[k]);
            w[k] -= 1e-3F * m[k] / (std::sqrt(v[k]) + 1e-7F);
        }
    });
}

struct Contestant {
    std::string name;
    void (*run)(const Work&, const Ids&);
    Work work;
    std::vector<double> seconds;
};

std::vector<Contestant> contestants(const Work& apart, const Work& beside) {
    std::vector<Contestant> all{{"read, no prefetch", read<none>, apart, {}},
                                {"gather, no prefetch", gather<none, false>, apart, {}},
                                {"update, no prefetch", update<none>, apart, {}}};
    for (const std::size_t ahead : {2, 8, 32, 64}) {
        Work work = apart, other = beside;
        work.ahead = other.ahead = ahead;
        all.push_back({"read, first level", read<first_level>, work, {}});
        all.push_back({"read, second level", read<second_level>, work, {}});
        all.push_back({"gather, first level", gather<first_level, false>, work, {}});
        all.push_back({"gather, second level", gather<second_level, false>, work, {}});
        all.push_back({"gather, second level, streaming", gather<second_level, true>, work, {}});
        all.push_back({"update, first level", update<first_level>, work, {}});
        all.push_back({"update, second level", update<second_level>, work, {}});
        all.push_back({"Adam, m and v in an array each", adam, work, {}});
        all.push_back({"Adam, m and v side by side", adam, other, {}});
    }
    return all;
}

void contest(const Work& apart, const Work& beside) {
    const std::size_t count = output_bytes / (apart.dim * sizeof(float));
    const std::size_t rows = table_bytes / (apart.dim * sizeof(float));
    std::mt19937_64 random(apart.dim);
    std::vector<Ids> ids(batches, Ids(count));
    for (Ids& batch : ids)
        for (std::int64_t& id : batch) id = static_cast<std::int64_t>(random() % rows);
    std::vector<Ids> sorted = ids;
    for (Ids& batch : sorted) std::sort(batch.begin(), batch.end());
    std::vector<Contestant> all = contestants(apart, beside);
    std::size_t turn = 0;
    for (int round = 0; round < rounds; ++round) {
        for (Contestant& one : all) {
            const auto started = std::chrono::steady_clock::now();
            one.run(one.work, (one.run == adam ? sorted : ids)[turn++ * 5 % batches]);
            const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - started;
            if (round > 1) one.seconds.push_back(taken.count());
        }
    }
    std::printf("%zu rows of %zu bytes\n", count, apart.dim * sizeof(float));
    for (Contestant& one : all) {
        std::sort(one.seconds.begin(), one.seconds.end());
        std::printf("  %-32s %2zu rows ahead  %6.2f ms\n", one.name.c_str(), one.work.ahead,
                    one.seconds[one.seconds.size() / 2] * 1e3);
    }
}

}  // namespace

int main() {
    float* const w = allocate(table_bytes);
    float* const m = allocate(table_bytes);
    float* const v = allocate(table_bytes);
    float* const both = allocate(2 * table_bytes);
    float* const out = allocate(output_bytes);
    for (const std::size_t dim : {16, 64, 256, 992})
        contest({w, m, v, dim, out, dim, 0}, {w, both, both + dim, 2 * dim, out, dim, 0});
}
