// A table as lookups see it.
#pragma once

#include "buffer.h"
#include "kernels.h"

namespace pyembed {

// Rows as they lie, or, where they are behind dense Adam's steps, as they would be up to date: reading
// never writes them.
template <class T>
struct Readable {
    Rows<const T> table;
    const Unsettled<T>* unsettled;  // or null
};

// Rows for kernels that read them in place: the table's own, or settled copies.
template <class T>
class SettledRows {
  public:
    // At most `most` rows at once.
    SettledRows(const Readable<T>& readable, i64 most) : readable_(readable), table_(readable.table) {
        if (readable.unsettled == nullptr) return;
        const i64 dim = readable.table.dim;
        copies_ = Buffer::of<T>(most * dim);
        numbers_ = Buffer::of<i64>(most);
        table_ = {copies_.template as<T>(), most, dim, dim};
    }

    // From now on rows()[i] of table() is row rows[i], or no_row.
    void fetch(const i64* rows, i64 n) {
        rows_ = rows;
        if (readable_.unsettled == nullptr) return;
        const i64 dim = table_.dim;
        const Rows<T> copies{copies_.template as<T>(), n, dim, dim};
        kernels<T>().copy_rows(readable_.table, rows, n, 0, copies.data, dim);
        kernels<T>().settle_copies(*readable_.unsettled, rows, n, copies);
        i64* const numbers = numbers_.template as<i64>();
        for (i64 i = 0; i < n; ++i) numbers[i] = rows[i] == no_row ? no_row : i;
        rows_ = numbers;
    }
    const Rows<const T>& table() const { return table_; }
    const i64* rows() const { return rows_; }

  private:
    Readable<T> readable_;
    Rows<const T> table_;
    const i64* rows_ = nullptr;
    Buffer copies_;
    Buffer numbers_;
};

}  // namespace pyembed
