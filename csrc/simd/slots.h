// Copies of rows for a batch, and what has become of them back.
#pragma once

#include "base/prefetch.h"
#include "simd/lanes.h"
#include "words/kernels.h"

namespace pyembed {
namespace {

constexpr i64 slots_ahead = 8;

void read_slots(Rows<const float> table, const Slots& slots) {
    const i64 dim = table.dim;
    const i64* const rows = slots.rows;
    const i64 count = slots.starts[slots.count];
    for (i64 s = 0; s < slots.count; ++s) {
        float* const before = slots.before.row(s);
        float* const now = slots.now.row(s);
        const i64 begin = slots.starts[s];
        const i64 end = slots.starts[s + 1];
        for (i64 r = begin; r < end; ++r)
            if (r + slots_ahead < count) prefetch_row(table.row(rows[r + slots_ahead]), dim);
        const float factor = slots.factors[s];
        for_column_blocks<float>(0, dim, [&](auto registers, i64 column) {
            using R = decltype(registers);
            using V = typename R::template Of<float>;
            constexpr i64 lanes = sizeof(V) / sizeof(float);
            V sum[R::count];
            for (int k = 0; k < R::count; ++k) sum[k] = load<V>(table.row(rows[begin]) + column + k * lanes);
            for (i64 r = begin + 1; r < end; ++r)
                for (int k = 0; k < R::count; ++k) sum[k] += load<V>(table.row(rows[r]) + column + k * lanes);
            for (int k = 0; k < R::count; ++k) {
                sum[k] *= factor;
                *reinterpret_cast<V*>(before + column + k * lanes) = sum[k];
                *reinterpret_cast<V*>(now + column + k * lanes) = sum[k];
            }
        });
        for (i64 column = dim; column < slots.now.dim; ++column) now[column] = 0.0f;
    }
}

PYEMBED_INLINE bool is_dealt_to(u32 part, u32 parts, i64 row) {
    const u32 mixed = static_cast<u32>(row) * 2654435769u;
    return (static_cast<u64>(mixed) * parts >> 32) == part;
}

// What is left of a way of length 1 after `gone` of it, about exp(-gone).
PYEMBED_INLINE float rest_of_way(float gone) {
    const float base = 1.0f - gone / 8.0f;
    const float square = base * base;
    return base > 0.0f ? (square * square) * (square * square) : 0.0f;
}

// How much of a change is added to a row, of which `uses` more are taken note.
PYEMBED_INLINE float share_of_change(const Round& round, i64 row, int uses) {
    if (round.ways == nullptr) return 1.0f;
    Way& way = round.ways[row];
    if (way.round != round.number) way = {round.number, 0.0f};
    const float share = rest_of_way(way.gone);
    way.gone += round.step * static_cast<float>(uses);
    return share;
}

void add_changes(Rows<float> table, const Slots& slots, const Round& round, u32 part, u32 parts) {
    const i64 dim = table.dim;
    for (i64 s = 0; s < slots.count; ++s) {
        const float* const before = slots.before.row(s);
        const float* const now = slots.now.row(s);
        for (i64 r = slots.starts[s]; r < slots.starts[s + 1]; ++r) {
            if (!is_dealt_to(part, parts, slots.rows[r])) continue;
            float* const row = table.row(slots.rows[r]);
            const float share = slots.shares[s] * share_of_change(round, slots.rows[r], slots.uses[s]);
            for_column_blocks<float>(0, dim, [&](auto registers, i64 column) {
                using R = decltype(registers);
                using V = typename R::template Of<float>;
                constexpr i64 lanes = sizeof(V) / sizeof(float);
                for (int k = 0; k < R::count; ++k) {
                    const i64 at = column + k * lanes;
                    *reinterpret_cast<V*>(row + at) =
                        load<V>(row + at) + share * (load<V>(now + at) - load<V>(before + at));
                }
            });
        }
    }
}

}  // namespace
}  // namespace pyembed
