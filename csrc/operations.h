// What the library computes, without Python. Arguments are checked by the callers, but for ids: those are
// checked here, in the pass that reads them, and nothing is written where one is bad.
#pragma once

#include <optional>
#include <vector>

#include "bags.h"
#include "ids.h"
#include "plan.h"
#include "readable.h"
#include "views.h"

namespace pyembed {

// out (ids, D) = the rows of table (V, D); zeros for ids without a row and for dropped rows
template <class T>
std::optional<BadId> gather(const Readable<T>& table, const Ids& ids, const IdRule& rule,
                            const Dropout& dropout, Rows<T> out);

// out (bags, D) = the pooled rows of each bag; weights (ids,) or null; for max pooling, winners (bags, D) or
// null: the position within the bag that gave each element, -1 where the bag has no row
template <class T>
std::optional<BadId> gather_bag(const Readable<T>& table, const Ids& ids, const IdRule& rule,
                                const Bags& bags, Pooling pooling, const T* weights, Rows<T> out,
                                Position<T>* winners = nullptr);

// out (ids,) = the gradient of each id's weight, where gradient (bags, D) is that of the pooled rows. Zero
// for ids without a row and in bags whose divisor is zero. Ids are known good; weights (ids,) or null, for
// ones.
template <class T>
void weight_gradient(const Readable<T>& table, const Ids& ids, const IdRule& rule, const Bags& bags,
                     Pooling pooling, const T* weights, Rows<const T> gradient, T* out);

// Rows whose p-norm is above the limit are scaled down to it.
struct MaxNorm {
    double limit;
    double p;
};

// The rows of `ids` whose norm is above the limit, but for padding and frozen ones: ascending, each once. Ids
// outside the table are passed over.
template <class T>
std::vector<i64> rows_above(const Readable<T>& table, const Ids& ids, const IdRule& rule,
                            const RowSet& frozen, const MaxNorm& max_norm);

// Scales each of these rows by limit / (norm + 1e-7), as torch.embedding_renorm_ does.
template <class T>
void renormalise(Rows<T> table, const std::vector<i64>& rows, const MaxNorm& max_norm);

// Brings rows that are behind up to date: these, or the range [first, last).
template <class T>
void settle_rows(const Unsettled<T>& unsettled, Rows<T> table, const std::vector<i64>& rows);
template <class T>
void settle_range(const Unsettled<T>& unsettled, Rows<T> table, i64 first, i64 last);

// table (V, D) = values (V, D), but in the padding row and in frozen rows
template <class T>
void assign(Rows<const T> values, Rows<T> table, i64 padding, const RowSet& frozen);

// dst = 0
template <class T>
void fill_zeros(Rows<T> dst);

// dst (V, D) += the plan's gradient
template <class T>
void add_gradient(const SortedPlan<T>& plan, Rows<T> dst);

// The same by atomic additions, in no fixed order
template <class T>
void add_gradient_atomically(const Plan<T>& plan, Rows<T> dst);

// The gradient with each row once: its rows are counted first, so that the caller can make the arrays.
template <class T>
class Coalesced {
  public:
    explicit Coalesced(const SortedPlan<T>& plan);
    i64 count() const { return first_of_block_.back(); }
    // rows (count,) ascending, out (count, D)
    void write(i64* rows, T* out) const;

  private:
    const SortedPlan<T>& plan_;
    std::vector<i64> first_of_block_;  // the number of segments before each block of pairs, and of all
};

// rows (count,), out (count, D): the gradient of each id that has a row, in order of position
template <class T>
void expand(const Plan<T>& plan, i64* rows, T* out);

// out (rows, D) = draws that depend on (seed, first_row + row, column) alone: any range of rows of a table
// can be filled by itself, at any number of threads. Philox4x32-10 (Salmon et al. 2011).
template <class T>
void fill_uniform(Rows<T> out, u64 seed, i64 first_row, double low, double high);
template <class T>
void fill_normal(Rows<T> out, u64 seed, i64 first_row, double mean, double stddev);
// The normal distribution between mean - 2 stddev and mean + 2 stddev alone
template <class T>
void fill_truncated_normal(Rows<T> out, u64 seed, i64 first_row, double mean, double stddev);

// One optimizer step: the plan's gradient updates table (V, D) and state (V, …) in place.
template <class T, class Rule>
void step(const SortedPlan<T>& plan, StepKernel<T, Rule> kernel, const Rule& rule, Rows<T> table,
          Rows<T> state, const Regularization<T>& regularization) {
    plan.for_each_block([&](const Segments<T>& segments, i64 begin, i64 end, T* scratch) {
        kernel(segments, begin, end, scratch, table, state, rule, regularization);
    });
}

}  // namespace pyembed
