// Whole tables, or ranges of their rows, written at once.
#pragma once

#include <algorithm>

#include "base/threads.h"
#include "base/views.h"

namespace pyembed {

// Which rows of a table are filled: every step-th, from `first` on.
struct FilledRows {
    i64 first;
    i64 step;
};

// out (rows, D) = draws that depend on (seed, row of the table, column) alone: any of its rows can be filled
// by themselves, at any number of threads. Philox4x32-10 (Salmon et al. 2011).
template <class E>
void fill_uniform(Rows<E> out, u64 seed, const FilledRows& filled, double low, double high);
template <class E>
void fill_normal(Rows<E> out, u64 seed, const FilledRows& filled, double mean, double stddev);
// The normal distribution between mean - 2 stddev and mean + 2 stddev alone
template <class E>
void fill_truncated_normal(Rows<E> out, u64 seed, const FilledRows& filled, double mean, double stddev);

// to (V, D) = from (V, D), but for the rows that is_left_out(row) says.
template <class T, class IsLeftOut>
void copy_rows_but(Rows<const T> from, Rows<T> to, IsLeftOut is_left_out) {
    const i64 moved = 2 * to.dim * static_cast<i64>(sizeof(T));
    parallel_row_ranges(to.rows, moved, threads_for(to.rows * moved), [&](i64 begin, i64 end, int) {
        for (i64 row = begin; row < end; ++row)
            if (!is_left_out(row)) std::copy_n(from.row(row), to.dim, to.row(row));
    });
}

}  // namespace pyembed
