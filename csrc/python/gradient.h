// Gradients on their way from backward to a step.
#pragma once

#include "backward_call.h"

namespace pyembed {

// The gradient of one table, summed by row when it is used: nothing of it is in memory but the sorted pairs.
class SortedGradient {
  public:
    SortedGradient(const Table& table, const Calls& calls, bool for_step, double l1, double l2,
                   const RowConstraint& constraint)
        : table_(table), l1_(l1), l2_(l2), constraint_(constraint) {
        const TableView view = table.view();
        if (for_step && !view.array.writeable()) throw py::value_error("the table is read-only");
        std::visit(
            [&](auto rows) {
                using T = std::remove_pointer_t<decltype(rows.data)>;
                for (const BackwardCall* call : calls) call->refuse_overlap_with(view.array, "the table");
                plan_ = make_sorted_plan<T>(calls, view.rule, &table);
            },
            view.rows);
    }

    py::tuple coalesce() const;

    // Calls step(plan) in the table's dtype.
    template <class Step>
    void step(Step step) const {
        std::visit([&](const auto& plan) { step(*plan); }, plan_);
    }

    i64 table_rows() const { return table_.view().rule.rows; }

    // state (V, arrays, dim), one block of `arrays` rows for each of the table's
    template <class T>
    Rows<T> state_rows(py::handle state, i64 arrays, i64 dim) const {
        const i64 rows = table_rows();
        T* const data = output_rows<T>(state, "state", {rows, arrays, dim}).rows.data;
        return {data, rows, arrays * dim, arrays * dim};
    }

    // One pass without the GIL, with the table to itself.
    template <class T, class Rule>
    void apply(const SortedPlan<T>& plan, StepKernel<T, Rule> kernel, const Rule& rule, Rows<T> state) const {
        const Regularization<T> regularization{{static_cast<T>(l1_), static_cast<T>(l2_)}, constraint_};
        const py::gil_scoped_release no_gil;
        const TableLock::Alone alone(table_.lock());
        pyembed::step(plan, kernel, rule, table_.rows<T>(), state, regularization);
    }

    // As `apply`, for dense Adam's steps with the table's own moments.
    template <class T>
    void apply_exact(const SortedPlan<T>& plan, const Adam<T>& rule, double decay) const {
        const Regularization<T> regularization{{static_cast<T>(l1_), static_cast<T>(l2_)}, constraint_};
        const py::gil_scoped_release no_gil;
        const TableLock::Alone alone(table_.lock());
        ExactMoments* const moments = table_.moments();
        if (moments == nullptr) throw py::value_error("the table has no moments");
        moments->reserve();
        const ExactAdam<T> exact{rule, moments->unsettled<T>()};
        const Rows<T> table = table_.rows<T>();
        pyembed::step(plan, kernels<T>().exact_adam, exact, table, exact.unsettled.state, regularization);
        moments->advance(rule.learning_rate * rule.corrections[0], decay, table);
    }

  private:
    const Table& table_;
    double l1_;
    double l2_;
    RowConstraint constraint_;
    std::variant<std::unique_ptr<SortedPlan<float>>, std::unique_ptr<SortedPlan<double>>> plan_;
};

void bind_gradient(py::module_& module);
void bind_steps(py::class_<SortedGradient>& gradient);

}  // namespace pyembed
