// What decided that Adam's moments of a row lie side by side: the update of random rows, sorted as a step
// sorts them, with m and v in an array each, and with both in one. Knows nothing of pyembed.
//
//     g++ -std=c++17 -O3 -march=native -ffp-contract=off -fno-math-errno -fopenmp moments.cpp -o moments
//     OMP_NUM_THREADS=2 ./moments
//
// Prints milliseconds, the median of interleaved rounds, each on other ids.

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

namespace {

constexpr std::int64_t rows = 4'000'000;
constexpr std::int64_t dim = 64;
constexpr std::int64_t count = 1 << 18;
constexpr std::int64_t ahead = 32;
constexpr int rounds = 25;
constexpr int batches = 8;

using Ids = std::vector<std::int64_t>;

float* allocate(std::int64_t numbers) {
    const auto bytes = static_cast<std::size_t>(numbers) * sizeof(float);
    const std::size_t page = std::size_t{2} << 20;
    const std::size_t size = (bytes + page - 1) / page * page;
    void* const data = std::aligned_alloc(page, size);
    if (data == nullptr) std::abort();
    madvise(data, size, MADV_HUGEPAGE);
    std::fill_n(static_cast<float*>(data), numbers, 0.0F);
    return static_cast<float*>(data);
}

// Row r of w (rows, dim); of m and v, which start `stride` numbers apart from row to row.
struct State {
    float* w;
    float* m;
    float* v;
    std::int64_t stride;
};

void prefetch(const float* row) {
    for (std::int64_t at = 0; at < dim; at += 16) __builtin_prefetch(row + at, 0, 2);
}

void update(float* __restrict w, float* __restrict m, float* __restrict v, const float* __restrict g) {
    for (std::int64_t k = 0; k < dim; ++k) {
        m[k] += 0.1F * (g[k] - m[k]);
        v[k] += 0.001F * (g[k] * g[k] - v[k]);
        w[k] -= 1e-3F * m[k] / (std::sqrt(v[k]) + 1e-7F);
    }
}

double step(const State& state, const Ids& ids, const Ids& sources, const float* gradients) {
    const auto started = std::chrono::steady_clock::now();
#pragma omp parallel for schedule(dynamic, 1)
    for (std::int64_t block = 0; block < count; block += 256) {
        for (std::int64_t i = block; i < block + 256; ++i) {
            if (const std::int64_t next = i + ahead; next < count) {
                const std::int64_t row = ids[static_cast<std::size_t>(next)];
                prefetch(gradients + sources[static_cast<std::size_t>(next)] * dim);
                prefetch(state.w + row * dim);
                prefetch(state.m + row * state.stride);
                prefetch(state.v + row * state.stride);
            }
            const std::int64_t row = ids[static_cast<std::size_t>(i)];
            update(state.w + row * dim, state.m + row * state.stride, state.v + row * state.stride,
                   gradients + sources[static_cast<std::size_t>(i)] * dim);
        }
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
}

double median(std::vector<double>& seconds) {
    std::sort(seconds.begin(), seconds.end());
    return seconds[seconds.size() / 2];
}

}  // namespace

int main() {
    float* const w = allocate(rows * dim);
    const State separate{w, allocate(rows * dim), allocate(rows * dim), dim};
    float* const both = allocate(2 * rows * dim);
    const State beside{w, both, both + dim, 2 * dim};
    const float* const gradients = allocate(count * dim);
    std::mt19937_64 random(0);
    std::vector<Ids> ids(batches, Ids(count));
    for (Ids& batch : ids) {
        for (std::int64_t& id : batch) id = static_cast<std::int64_t>(random() % rows);
        std::sort(batch.begin(), batch.end());  // as they are after the sort of a step
    }
    Ids sources(count);
    std::iota(sources.begin(), sources.end(), 0);
    std::shuffle(sources.begin(), sources.end(), random);
    std::vector<double> apart;
    std::vector<double> together;
    for (int round = 0; round < rounds; ++round) {
        apart.push_back(step(separate, ids[2 * round % batches], sources, gradients));
        together.push_back(step(beside, ids[(2 * round + 1) % batches], sources, gradients));
    }
    std::printf("m and v in an array each: %.2f ms\nside by side:             %.2f ms\n", median(apart) * 1e3,
                median(together) * 1e3);
}
