// Gradients on their way from backward to a step.
#pragma once

#include <memory>

#include "../operations.h"
#include "arguments.h"
#include "table.h"

namespace pyembed {

// One backward call: borrows the caller's arrays, does no arithmetic.
class BackwardCall {
  public:
    // Without a mode, a plain lookup: gradient has ids' shape and `dim`. With one, a bag's. Errors call the
    // gradient by the name given.
    BackwardCall(py::handle ids, py::handle gradient, i64 dim, const std::string& dtype, py::handle offsets,
                 py::handle weights, const std::optional<std::string>& mode, bool include_last_offset,
                 const std::string& gradient_name = "grad_output");

    BackwardCall scaled(double factor) const;

    template <class T>
    Contribution<T> contribution() const;

    bool is_single() const { return std::holds_alternative<Rows<const float>>(gradient_); }
    Shape ids_shape() const { return ids_.shape(); }
    void refuse_overlap_with(const py::array& written, const char* name) const;

  private:
    std::string gradient_name_;
    IdsArgument ids_;
    std::shared_ptr<const BagsArgument> bags_;
    Pooling pooling_ = Pooling::sum;
    py::array gradient_array_;
    std::variant<Rows<const float>, Rows<const double>> gradient_;
    py::object weights_array_;  // or None
    const void* weights_ = nullptr;
    double scale_ = 1.0;
};

void bind_gradient(py::module_& module);

}  // namespace pyembed
