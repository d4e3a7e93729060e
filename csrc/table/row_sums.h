// Sums over a matrix that do not depend on the order of its rows, nor on where they are.
#pragma once

#include "base/exact_sum.h"
#include "base/views.h"

namespace pyembed {

// What of each element is summed; the names stand in the order of the enumeration.
enum class Summed { magnitude, square };
constexpr const char* summed_names[] = {"magnitude", "square"};

// The sum of each row in double, as in base/sum_columns.h; these added exactly. Elements are multiplied by
// 2^-exponent first.
template <class E>
ExactSum row_sums(Rows<const E> rows, Summed summed, int exponent);

}  // namespace pyembed
