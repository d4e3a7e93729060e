#pragma once

#include "../kernels.h"

namespace pyembed {
namespace {

template <class T>
void scale_rows(Rows<T> rows, T factor) {
    for (i64 row = 0; row < rows.rows; ++row) {
        T* const x = rows.row(row);
        for (i64 column = 0; column < rows.dim; ++column) x[column] *= factor;
    }
}

}  // namespace
}  // namespace pyembed
