#include <algorithm>

#include "operations.h"
#include "threads.h"

namespace pyembed {

template <class T>
void assign(Rows<const T> values, Rows<T> table, i64 padding, const RowSet& frozen) {
    const i64 row_bytes = table.dim * static_cast<i64>(sizeof(T));
    const i64 block = 1 + (256 << 10) / (row_bytes + 1);
    parallel_blocks(table.rows, block, threads_for(2 * table.rows * row_bytes), [&](i64 begin, i64 end, int) {
        for (i64 row = begin; row < end; ++row)
            if (row != padding && !frozen.contains(row))
                std::copy_n(values.row(row), table.dim, table.row(row));
    });
}

template void assign(Rows<const float>, Rows<float>, i64, const RowSet&);
template void assign(Rows<const double>, Rows<double>, i64, const RowSet&);

}  // namespace pyembed
