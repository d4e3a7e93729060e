// The names of this room's chunk loops: see base/kernel.h.
#pragma once

#include "element/element.h"

namespace pyembed {

constexpr i64 questions_in_block = 16;  // whatever the width of a register
constexpr i64 rows_in_tile = 64;        // that a block of questions is compared with at once

// norms (rows,): the lengths of rows up to rounding; 0 for zeros, nan where squares leave the range of T.
template <class E>
struct QuickNorms {
    using Function = void(Rows<const E> rows, Compute<E>* norms);
};

// Questions of length 1 in the arithmetic of rows, side by side, and the limits that rows must reach. Beside
// the last question stand zeros, whose limits are above 1.
template <class T>
struct QuestionBlock {
    const T* columns;  // (dim, questions_in_block)
    const T* limits;   // (questions_in_block,)
    i64 count;
};

// Which of a tile's rows may be as near to which question as its limit: passed (rows_in_tile *
// questions_in_block,) gets row * questions_in_block + question, in this order. Returns how many. Rows of
// zeros never pass, those whose norm is nan always do.
template <class E>
struct ScreenRows {
    using Function = i64(Rows<const E> rows, const Compute<E>* norms, const QuestionBlock<Compute<E>>& block,
                         i64* passed);
};

// The same for one question (dim,), in one pass: passed (rows,) gets the rows.
template <class E>
struct ScreenForOne {
    using Function = i64(Rows<const E> rows, const Compute<E>* question, Compute<E> limit, i64* passed);
};

// A row of a table, and one of questions.
struct Pair {
    i64 row;
    i64 question;
};

// cosines (n,): those of pairs, in double, always the same bits; nan where a vector has no direction.
template <class E>
struct Cosines {
    using Function = void(Rows<const E> table, Rows<const double> questions, const Pair* pairs, i64 n,
                          double* cosines);
};

}  // namespace pyembed
