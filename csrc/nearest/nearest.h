// The rows of a table that are nearest to questions, by cosine.
#pragma once

#include "element/element.h"

namespace pyembed {

// rows (questions, k), cosines (questions, k): for each question the rows with the highest cosines, of equal
// ones the first, in this order. Where fewer than k rows have a direction, no_row and nan stand behind
// them. Questions have a direction.
template <class E>
void nearest(Rows<const E> table, Rows<const double> questions, i64 k, i64* rows, double* cosines);

}  // namespace pyembed
