// The chunk loops that exist once per instruction set (see simd/), as a table of functions.
#pragma once

#include "rules.h"
#include "segments.h"
#include "views.h"

namespace pyembed {

// How far ahead of their use rows are fetched into the cache: enough lines that the processor can always have
// as many on their way as it is able to, and few enough rows that these do not push each other out.
constexpr i64 most_rows_ahead = 64;

template <class T>
PYEMBED_INLINE i64 rows_ahead(i64 dim) {
    constexpr i64 bytes = 8 << 10;
    const i64 row = (dim > 0 ? dim : 1) * static_cast<i64>(sizeof(T));
    const i64 rows = bytes / row;
    return rows < 2 ? 2 : rows < most_rows_ahead ? rows : most_rows_ahead;
}

// Bags of resolved rows: bag b sums rows[ends[b - 1]] … rows[ends[b] - 1], then divides by divisors[b].
template <class T>
struct BagRows {
    const i64* rows;
    const T* weights;              // beside rows, or null
    const Position<T>* positions;  // beside rows: where in its bag each stood; for max pooling alone
    const i64* ends;               // (bags,)
    const T* divisors;             // (bags,) or null
    i64 bags;
};

template <class T, class Rule>
using StepKernel = void (*)(const Segments<T>&, i64 begin, i64 end, T* scratch, Rows<T> table, Rows<T> state,
                            const Rule&, const Regularization<T>&);

// Kernels over segments take those that start in [begin, end) of the pairs, and scratch (dim,).
template <class T>
struct Kernels {
    // out (n, dim): the table's rows, zeros for no_row; rows[n] … rows[n + ahead - 1] are looked up next.
    void (*copy_rows)(Rows<const T> table, const i64* rows, i64 n, i64 ahead, T* out, i64 out_stride);
    // The same past the caches, into rows that lie one after the other, each a line of the cache or longer.
    void (*stream_rows)(Rows<const T> table, const i64* rows, i64 n, i64 ahead, T* out);
    // out (bags, dim): one pooled row a bag
    void (*pool_rows)(Rows<const T> table, const BagRows<T>& bags, T* out, i64 out_stride);
    // out (bags, dim): the maximum of each column; winners (bags, dim) or null: where it stood, -1 in an
    // empty bag
    void (*max_rows)(Rows<const T> table, const BagRows<T>& bags, T* out, i64 out_stride,
                     Position<T>* winners);
    // dots (n,): the inner products of rows with a vector (dim,); zero for no_row
    void (*dot_rows)(Rows<const T> table, const i64* rows, i64 n, const T* vector, double* dots);
    // norms (n,): the p-norms of rows; zero for no_row
    void (*row_norms)(Rows<const T> table, const i64* rows, i64 n, double p, double* norms);
    void (*scale_rows)(Rows<T> rows, T factor);
    // Brings rows of the table, and their state, up to date
    void (*settle_rows)(const Unsettled<T>&, Rows<T> table, const i64* rows, i64 n);
    // copies (n, dim): the table's rows as they would be up to date; no_row is left alone
    void (*settle_copies)(const Unsettled<T>&, const i64* rows, i64 n, Rows<T> copies);
    // dst[row of pair i] += values[i - begin] for the pairs [begin, end), each element atomically
    void (*add_rows_atomically)(const Pairs&, i64 begin, i64 end, const T* values, Rows<T> dst);
    // out (end - begin, dim): the sources of the pairs [begin, end), each times its coefficient
    void (*copy_sources)(const Pairs&, const Sources<T>&, i64 begin, i64 end, i64 dim, T* out);
    // out (dim,): the sum of the sources of the pairs [begin, end)
    void (*sum_sources)(const Pairs&, const Sources<T>&, i64 begin, i64 end, i64 dim, T* out);
    // rows (segments,), out (segments, dim): each segment's row and sum
    void (*store_segments)(const Segments<T>&, i64 begin, i64 end, T* scratch, i64* rows, T* out);
    // dst[row] += the segment's sum
    void (*add_segments)(const Segments<T>&, i64 begin, i64 end, T* scratch, Rows<T> dst);

    StepKernel<T, Sgd<T>> sgd;
    StepKernel<T, Momentum<T>> momentum;
    StepKernel<T, Adagrad<T>> adagrad;
    StepKernel<T, RowWiseAdagrad<T>> row_wise_adagrad;
    StepKernel<T, RmsProp<T>> rms_prop;
    StepKernel<T, Adam<T>> adam;
    StepKernel<T, ExactAdam<T>> exact_adam;
};

struct KernelSet {
    const char* name;
    Kernels<float> float32;
    Kernels<double> float64;
};

// The set in use: the fastest that this processor has, or the one that PYEMBED_ISA names.
const KernelSet& kernel_set();

template <class T>
const Kernels<T>& kernels() {
    if constexpr (sizeof(T) == sizeof(float)) {
        return kernel_set().float32;
    } else {
        return kernel_set().float64;
    }
}

}  // namespace pyembed
