// What an optimizer keeps of one table.
#pragma once

#include <memory>
#include <vector>

#include "element/any_rows.h"
#include "storage/storage.h"

namespace pyembed {

struct State {
    AnyArithmeticRows arrays;  // (V, arrays x width), of what the table's arithmetic is in
    std::shared_ptr<Storage> storage;
    i64 t = 0;                 // steps that the table has made
    i64* row_steps = nullptr;  // (V,) and those of each row, or null
    std::shared_ptr<Storage> row_steps_storage;
    std::vector<double> corrections;  // by steps of a row: see Adam

    i64 rows() const { return count_of(arrays); }
};

}  // namespace pyembed
