// One backward call, and from several of them to a plan.
#pragma once

#include <memory>

#include "../buffer.h"
#include "../operations.h"
#include "arguments.h"
#include "table.h"

namespace pyembed {

// One backward call: borrows the caller's arrays, does no arithmetic. Only max pooling looks at the table.
class BackwardCall {
  public:
    // Without a mode, a plain lookup: gradient has ids' shape and `dim`. With one, a bag's; of `table`, where
    // the mode is max. Errors call the gradient by the name given.
    BackwardCall(py::handle ids, py::handle gradient, i64 dim, const std::string& dtype, py::handle offsets,
                 py::handle weights, const std::optional<std::string>& mode, bool include_last_offset,
                 const Table* table, bool by_frequency, const Dropout& dropout,
                 const std::string& gradient_name = "grad_output");

    BackwardCall scaled(double factor) const;

    template <class T>
    Contribution<T> contribution() const;

    bool is_single() const { return std::holds_alternative<Rows<const float>>(gradient_); }
    // Throws where the gradient's rows are not of `dim` elements, as those of the table are.
    void check_dim(i64 dim) const;
    Shape ids_shape() const { return ids_.shape(); }
    void refuse_overlap_with(const py::array& written, const char* name) const;

  private:
    template <class T>
    void find_winners(const Table& table, i64 dim);

    std::string gradient_name_;
    IdsArgument ids_;
    std::shared_ptr<const BagsArgument> bags_;
    Pooling pooling_ = Pooling::sum;
    py::array gradient_array_;
    std::variant<Rows<const float>, Rows<const double>> gradient_;
    py::object weights_array_;  // or None
    const void* weights_ = nullptr;
    std::shared_ptr<const Buffer> winners_;
    bool by_frequency_ = false;
    Dropout dropout_;
    double scale_ = 1.0;
};

using Calls = std::vector<const BackwardCall*>;

// The plan of calls on a table; or, where that is null, on any of rule.rows rows. Raises IndexError where an
// id is bad.
template <class T>
Plan<T> make_plan(const Calls& calls, const IdRule& rule, const Table* table);
template <class T>
std::unique_ptr<SortedPlan<T>> make_sorted_plan(const Calls& calls, const IdRule& rule, const Table* table);

}  // namespace pyembed
