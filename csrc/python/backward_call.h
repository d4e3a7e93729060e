// A backward call with the arrays that it borrows.
#pragma once

#include <memory>
#include <vector>

#include "base/buffer.h"
#include "gradient/backward_call.h"
#include "gradient/placed_rows.h"
#include "optimizers/step.h"
#include "python/arguments.h"

namespace pyembed {

class BoundCall {
  public:
    // The gradient (…, dim) has ids' shape where there are no bags, else it is (bags, dim). Its dtype is
    // `dtype`, one that arithmetic is done in; errors call it by the name given.
    BoundCall(IdsArgument ids, BagsArgument bags, bool pooled, Pooling pooling, py::handle gradient,
              const std::string& gradient_name, py::handle weights, i64 dim, const std::string& dtype,
              bool by_frequency, const Dropout& dropout);

    // Of rows that are where they are, in what is made here or what `of` borrow.
    template <class T>
    BoundCall(IdsArgument ids, PlacedRows<T> rows, i64 dim, const std::vector<const BoundCall*>& of);

    // Finds what max pooling chose, in the table as it is. Raises IndexError where an id is bad.
    void find_winners(const Table& table);

    BoundCall scaled(double factor) const;
    // The same with other ids, of the same shape, for what it chose.
    BoundCall with_ids(py::handle ids) const;

    // Whether it reads what is to be written; and the same call, which reads copies of that.
    bool reads(const Written& written) const;
    BoundCall apart_from(const Written& written) const;

    // Throws where the gradient's rows are not of `dim` elements, as those of the table are.
    void check_dim(i64 dim) const;
    Shape ids_shape() const { return ids_.shape(); }
    void refuse_overlap_with(const py::array& written, const char* name) const;

    template <class T>
    const BackwardCall<T>& get() const {
        return std::get<BackwardCall<T>>(call_);
    }
    // Calls f(T{}), where T is what the gradient consists of.
    template <class F>
    auto in_arithmetic(F f) const {
        return std::visit(
            [&](const auto& call) { return f(typename std::decay_t<decltype(call)>::Number{}); }, call_);
    }

  private:
    // Whether that is to be written which it reads where it lies.
    bool borrows(const Written& written) const;

    IdsArgument ids_;
    std::shared_ptr<const BagsArgument> bags_;
    std::string gradient_name_;
    py::object gradient_;                 // or None, where rows lie apart
    py::object weights_;                  // or None
    std::vector<BoundCall> borrowed_;     // those whose rows this one reads where they lie
    std::shared_ptr<const void> placed_;  // where that is
    std::shared_ptr<const Buffer> winners_;
    AnyArithmetic::of<BackwardCall> call_;
};

using Calls = std::vector<const BoundCall*>;

template <class T>
std::vector<BackwardCall<T>> calls_of(const Calls& calls) {
    std::vector<BackwardCall<T>> found;
    for (const BoundCall* call : calls) found.push_back(call->get<T>());
    return found;
}

}  // namespace pyembed
