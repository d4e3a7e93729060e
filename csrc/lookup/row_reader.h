// Rows for kernels that read them in place.
#pragma once

#include "base/buffer.h"
#include "base/kernel.h"
#include "lookup/kernels.h"
#include "table/table.h"

namespace pyembed {

// The table's own rows, or, where something is pending, settled copies: reading never writes a table.
template <class E>
class RowReader {
  public:
    // At most `most` rows at once.
    RowReader(const LiveRows<E>& live, i64 most) : live_(live), table_(live.rows) {
        if (live.pending == nullptr) return;
        const i64 dim = live.rows.dim;
        copies_ = Buffer::of<E>(most * dim);
        numbers_ = Buffer::of<i64>(most);
        table_ = {copies_.template as<E>(), most, dim, dim};
    }

    // From now on rows()[i] of table() is row rows[i], or no_row.
    void fetch(const i64* rows, i64 n) {
        rows_ = rows;
        if (live_.pending == nullptr) return;
        const i64 dim = table_.dim;
        const Rows<E> copies{copies_.template as<E>(), n, dim, dim};
        kernel<CopyRows<E>>()(live_.rows, rows, n, 0, copies.data, dim);
        live_.pending->settle_copies(rows, n, copies);
        i64* const numbers = numbers_.template as<i64>();
        for (i64 i = 0; i < n; ++i) numbers[i] = rows[i] == no_row ? no_row : i;
        rows_ = numbers;
    }
    const Rows<const E>& table() const { return table_; }
    const i64* rows() const { return rows_; }

  private:
    LiveRows<E> live_;
    Rows<const E> table_;
    const i64* rows_ = nullptr;
    Buffer copies_;
    Buffer numbers_;
};

}  // namespace pyembed
