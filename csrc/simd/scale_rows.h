#pragma once

#include "element/element.h"

namespace pyembed {
namespace {

template <class E>
void scale_rows(Rows<E> rows, Compute<E> factor) {
    for (i64 row = 0; row < rows.rows; ++row) {
        E* const x = rows.row(row);
        for (i64 column = 0; column < rows.dim; ++column) x[column] *= factor;
    }
}

}  // namespace
}  // namespace pyembed
