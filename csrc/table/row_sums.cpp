#include "table/row_sums.h"

#include <cmath>
#include <vector>

#include "base/sum_columns.h"
#include "base/threads.h"
#include "element/element.h"

namespace pyembed {
namespace {

template <class E, class Term>
ExactSum row_sums(Rows<const E> rows, Term term) {
    const i64 row_bytes = rows.dim * static_cast<i64>(sizeof(E));
    const int threads = threads_for(rows.rows * row_bytes);
    std::vector<ExactSum> sums(static_cast<std::size_t>(threads));
    parallel_row_ranges(rows.rows, row_bytes, threads, [&](i64 begin, i64 end, int member) {
        for (i64 row = begin; row < end; ++row) {
            const E* const x = rows.row(row);
            const auto term_of = [&](i64 column) { return term(static_cast<double>(x[column])); };
            sums[static_cast<std::size_t>(member)].add(sum_columns(rows.dim, term_of));
        }
    });
    for (std::size_t member = 1; member < sums.size(); ++member) sums[0].add_parts(sums[member].parts());
    return sums[0];
}

}  // namespace

template <class E>
ExactSum row_sums(Rows<const E> rows, Summed summed, int exponent) {
    const auto sum_of = [&](auto scaled) {
        if (summed == Summed::magnitude)
            return row_sums(rows, [=](double x) { return std::fabs(scaled(x)); });
        return row_sums(rows, [=](double x) { return scaled(x) * scaled(x); });
    };
    if (exponent == 0) return sum_of([](double x) { return x; });
    return sum_of([=](double x) { return std::ldexp(x, -exponent); });
}

#define PYEMBED_ROW_SUMS(E) template ExactSum row_sums(Rows<const E>, Summed, int);
PYEMBED_FOR_ELEMENTS(PYEMBED_ROW_SUMS)

}  // namespace pyembed
