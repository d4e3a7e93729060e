#pragma once

#include <math.h>

#include "base/row_norm.h"
#include "nearest/kernels.h"
#include "simd/lanes.h"

namespace pyembed {
namespace {

// What the lanes of a register add up to, half by half.
template <class T, class V>
PYEMBED_INLINE T sum_of(const V& lanes) {
    constexpr int bytes = static_cast<int>(sizeof(V));
    if constexpr (bytes == sizeof(T)) {
        return *reinterpret_cast<const T*>(&lanes);
    } else {
        using Half = Lanes<T, bytes / 2 >= narrowest_bytes ? bytes / 2 : 0>;
        constexpr int parts = bytes / static_cast<int>(sizeof(Half));
        const T* const first = reinterpret_cast<const T*>(&lanes);
        Half sum = load<Half>(first);
        for (int part = 1; part < parts; ++part)
            sum += load<Half>(first + part * static_cast<int>(sizeof(Half) / sizeof(T)));
        return sum_of<T>(sum);
    }
}

// The inner product of two rows in the order that is quickest: the roundings depend on the instruction set.
template <class A, class B>
PYEMBED_INLINE Compute<A> quick_dot(const A* a, const B* b, i64 dim) {
    using T = Compute<A>;
    using V = Lanes<T, register_bytes>;
    constexpr i64 lanes = static_cast<i64>(sizeof(V) / sizeof(T));
    V sums = {};
    i64 column = 0;
    for (; column + lanes <= dim; column += lanes) sums += load<V>(a + column) * load<V>(b + column);
    T total = sum_of<T>(sums);
    for_column_blocks<T, register_bytes / 2>(column, dim, [&](auto registers, i64 rest) {
        using Less = typename decltype(registers)::template Of<T>;
        total += sum_of<T>(load<Less>(a + rest) * load<Less>(b + rest));
    });
    return total;
}

// What the squares of numbers T add up to within a rounding: neither above nor below what T can hold.
template <class T>
struct SquaresOf;
template <>
struct SquaresOf<float> {
    static constexpr float least = 0x1p-80F, most = 0x1p120F;
};
template <>
struct SquaresOf<double> {
    static constexpr double least = 0x1p-900, most = 0x1p1000;
};

template <class E>
bool is_zero(const E* x, i64 dim) {
    for (i64 column = 0; column < dim; ++column)
        if (x[column] != E{0}) return false;
    return true;
}

template <class E>
PYEMBED_INLINE Compute<E> quick_norm(const E* x, i64 dim) {
    using T = Compute<E>;
    const T squares = quick_dot(x, x, dim);
    const bool is_sure = squares >= SquaresOf<T>::least && squares <= SquaresOf<T>::most;
    return is_sure ? static_cast<T>(::sqrt(squares)) : is_zero(x, dim) ? T{0} : T(NAN);
}

template <class E>
void quick_norms(Rows<const E> rows, Compute<E>* norms) {
    for (i64 row = 0; row < rows.rows; ++row) norms[row] = quick_norm(rows.row(row), rows.dim);
}

// Whether a row may be as near as the limit, so far as its score tells. A nan passes.
template <class T>
PYEMBED_INLINE bool passes(T score, T limit, T norm) {
    return !(score < limit * norm);
}

template <class E>
i64 screen_for_one(Rows<const E> rows, const Compute<E>* question, Compute<E> limit, i64* passed) {
    i64 count = 0;
    for (i64 row = 0; row < rows.rows; ++row) {
        const E* const x = rows.row(row);
        const auto norm = quick_norm(x, rows.dim);
        if (passes(quick_dot(x, question, rows.dim), limit, norm) && norm != 0) passed[count++] = row;
    }
    return count;
}

// scores (rows, questions_in_block): the inner products of `rows` rows with a block of questions, a lane each
template <int rows, class E>
PYEMBED_INLINE void products(const E* first, i64 stride, i64 dim, const Compute<E>* columns,
                             Compute<E>* scores) {
    using T = Compute<E>;
    using V = Lanes<T, register_bytes>;
    constexpr i64 lanes = static_cast<i64>(sizeof(V) / sizeof(T));
    for (i64 lane = 0; lane < questions_in_block; lane += lanes) {
        V sums[rows] = {};
        for (i64 column = 0; column < dim; ++column) {
            const V questions = load<V>(columns + column * questions_in_block + lane);
            for (int row = 0; row < rows; ++row)
                sums[row] += static_cast<T>(first[row * stride + column]) * questions;
        }
        for (int row = 0; row < rows; ++row)
            *reinterpret_cast<V*>(scores + row * questions_in_block + lane) = sums[row];
    }
}

// scores (rows, questions_in_block)
template <class E>
PYEMBED_INLINE void tile_of_products(Rows<const E> rows, const Compute<E>* columns, Compute<E>* scores) {
    constexpr int at_once = 8;
    i64 row = 0;
    for (; row + at_once <= rows.rows; row += at_once)
        products<at_once>(rows.row(row), rows.stride, rows.dim, columns, scores + row * questions_in_block);
    for (; row < rows.rows; ++row)
        products<1>(rows.row(row), rows.stride, rows.dim, columns, scores + row * questions_in_block);
}

template <class E>
i64 screen_rows(Rows<const E> rows, const Compute<E>* norms, const QuestionBlock<Compute<E>>& block,
                i64* passed) {
    Compute<E> scores[rows_in_tile * questions_in_block];
    tile_of_products(rows, block.columns, scores);
    i64 count = 0;
    for (i64 row = 0; row < rows.rows; ++row) {
        const Compute<E>* const of_row = scores + row * questions_in_block;
        int any = 0;
        for (i64 question = 0; question < questions_in_block; ++question)
            any |= passes(of_row[question], block.limits[question], norms[row]);
        if (any == 0 || norms[row] == 0) continue;
        for (i64 question = 0; question < block.count; ++question)
            if (passes(of_row[question], block.limits[question], norms[row]))
                passed[count++] = row * questions_in_block + question;
    }
    return count;
}

// What the cosine of two rows is made of.
struct Angle {
    double product;
    double squares_a;
    double squares_b;

    // Whether neither a square nor the product of the sums can have left the range of double.
    bool is_sure() const {
        const auto is_usual = [](double squares) { return squares >= 0x1p-450 && squares <= 0x1p450; };
        return is_usual(squares_a) && is_usual(squares_b);
    }
    double cosine() const {
        const double cosine = product / ::sqrt(squares_a * squares_b);
        return cosine > 1.0 ? 1.0 : cosine < -1.0 ? -1.0 : cosine;
    }
};

// Of numbers x(column) and y(column).
template <class X, class Y>
PYEMBED_INLINE Angle angle_of(i64 dim, X x, Y y) {
    return {sum_columns(dim, [=](i64 column) { return x(column) * y(column); }),
            sum_columns(dim, [=](i64 column) { return x(column) * x(column); }),
            sum_columns(dim, [=](i64 column) { return y(column) * y(column); })};
}

// What to divide a row by so that its largest number is from 1 to 2: a power of two, which rounds nothing.
template <class E>
double scale_of(const E* x, i64 dim) {
    int exponent;
    ::frexp(row_norm(x, dim, INFINITY), &exponent);
    return ::ldexp(1.0, exponent - 1);
}

// Nan where a row is zeros or not finite. Rows whose squares may leave the range of double are scaled first.
template <class A, class B>
double cosine_of(const A* a, const B* b, i64 dim) {
    const auto x = [=](i64 column) { return static_cast<double>(a[column]); };
    const auto y = [=](i64 column) { return static_cast<double>(b[column]); };
    const Angle angle = angle_of(dim, x, y);
    if (angle.is_sure()) return angle.cosine();
    const double of_a = scale_of(a, dim);
    const double of_b = scale_of(b, dim);
    return angle_of(
               dim, [=](i64 column) { return x(column) / of_a; },
               [=](i64 column) { return y(column) / of_b; })
        .cosine();
}

template <class E>
void cosines(Rows<const E> table, Rows<const double> questions, const Pair* pairs, i64 n, double* found) {
    for (i64 i = 0; i < n; ++i)
        found[i] = cosine_of(table.row(pairs[i].row), questions.row(pairs[i].question), table.dim);
}

}  // namespace
}  // namespace pyembed
