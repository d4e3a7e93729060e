// Reading a table. Arguments are checked by the callers, but for ids: those are checked here, in the pass
// that reads them, and nothing is written where one is bad. Used with the table's lock.
#pragma once

#include <optional>

#include "keys/ids.h"
#include "lookup/bags.h"
#include "lookup/dropout.h"
#include "lookup/pooling.h"
#include "table/table.h"

namespace pyembed {

// out (ids, D) = the rows of table (V, D); zeros for ids without a row and for dropped rows
template <class E>
std::optional<BadId> gather(const LiveRows<E>& table, const Ids& ids, const IdPolicy& policy,
                            const Dropout& dropout, Rows<Compute<E>> out);

// out (positions, D) = the rows at `positions` of those that lie in `others` and, behind them, the rows of
// `ids` in the table; zeros for positions past the last. Ids are rows: all others are bad.
template <class E>
std::optional<BadId> gather_beside(const LiveRows<E>& table, const Ids& ids, const Rows<const E>& others,
                                   const Ids& positions, Rows<Compute<E>> out);

// out (bags, D) = the pooled rows of each bag; weights (ids,) or null; where the mode selects, winners (bags,
// D) or null: the position within the bag that gave each element, -1 where the bag has no row
template <class E>
std::optional<BadId> gather_bag(const LiveRows<E>& table, const Ids& ids, const IdPolicy& policy,
                                const Bags& bags, Pooling pooling, const Compute<E>* weights,
                                Rows<Compute<E>> out, Position<Compute<E>>* winners = nullptr);

// out (ids,) = the gradient of each id's weight, where gradient (bags, D) is that of the pooled rows. Zero
// for ids without a row and in bags whose divisor is zero. Weights (ids,) or null, for ones.
template <class E>
std::optional<BadId> weight_gradient(const LiveRows<E>& table, const Ids& ids, const IdPolicy& policy,
                                     const Bags& bags, Pooling pooling, const Compute<E>* weights,
                                     Rows<const Compute<E>> gradient, Compute<E>* out);

}  // namespace pyembed
