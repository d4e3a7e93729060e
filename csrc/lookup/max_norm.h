// Lookups that scale rows down first.
#pragma once

#include <optional>
#include <vector>

#include "keys/ids.h"
#include "table/table.h"

namespace pyembed {

// The rows of `ids` whose norm is above the limit, but for padding and frozen ones: ascending, each once. Ids
// outside the table are passed over.
template <class E>
std::vector<i64> rows_above(const LiveRows<E>& table, const Ids& ids, const IdPolicy& policy,
                            const RowSet& frozen, const MaxNorm& max_norm);

// Scales each of these rows by limit / (norm + 1e-7), as torch.embedding_renorm_ does.
template <class E>
void renormalise(Rows<E> table, const std::vector<i64>& rows, const MaxNorm& max_norm);

// Returns read(rows), called with the table's lock: alone where rows above its max_norm had to be scaled down
// first, as `renormalise` asks.
template <class E, class Read>
std::optional<BadId> read_rows(const Table& table, const Ids& ids, const IdPolicy& policy, bool renormalise,
                               Read read) {
    if (!table.max_norm() || !renormalise) {
        const TableLock::Shared shared(table.lock());
        return read(table.live_rows<E>());
    }
    if (const auto bad = find_bad_id(ids, policy)) return bad;
    const auto above = [&] {
        return rows_above(table.live_rows<E>(), ids, table.policy(), table.frozen(), *table.max_norm());
    };
    {
        const TableLock::Shared shared(table.lock());
        if (above().empty()) return read(table.live_rows<E>());
    }
    const TableLock::Alone alone(table.lock());
    const std::vector<i64> too_long = above();
    if (table.pending() != nullptr) table.pending()->settle(too_long);
    pyembed::renormalise(table.rows<E>(), too_long, *table.max_norm());
    return read(table.live_rows<E>());
}

}  // namespace pyembed
