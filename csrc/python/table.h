// A live table: its memory, how it reads ids, and who may use it when.
#pragma once

#include "arguments.h"
#include "table_lock.h"

namespace pyembed {

class Table {
  public:
    // `name` is what errors call the array.
    Table(py::handle array, const char* name, const std::string& out_of_range, std::optional<i64> padding,
          bool writeable);

    py::array gather(py::handle ids, py::handle out) const;
    py::array gather_bag(py::handle ids, py::handle offsets, py::handle weights, const std::string& mode,
                         bool include_last_offset, py::handle out, const char* weights_name) const;

    const py::array& array() const { return array_; }
    const AnyRows& rows() const { return rows_; }
    const IdRule& rule() const { return rule_; }

    // Taken without the GIL, so that no two locks are waited for.
    TableLock& lock() const { return lock_; }

  private:
    py::array array_;
    AnyRows rows_;
    IdRule rule_;
    mutable TableLock lock_;
};

void bind_table(py::module_& module);

}  // namespace pyembed
