#include "gradient.h"

#include <limits>
#include <memory>
#include <tuple>

namespace pyembed {

BackwardCall::BackwardCall(py::handle ids, py::handle gradient, i64 dim, const std::string& dtype,
                           py::handle offsets, py::handle weights, const std::optional<std::string>& mode,
                           bool include_last_offset, const Table* table, bool by_frequency,
                           const Dropout& dropout, const std::string& gradient_name)
    : gradient_name_(gradient_name),
      ids_(ids_argument(ids)),
      by_frequency_(by_frequency),
      dropout_(dropout),
      scale_(dropout.scale()) {
    BagsArgument bags;
    if (mode) {
        pooling_ = pooling_argument(*mode);
        bags = bags_argument(ids_, offsets, include_last_offset);
    } else {
        bags.bags = {ids_.ids.count, 1, nullptr};
    }
    bags_ = std::make_shared<const BagsArgument>(std::move(bags));
    Shape shape = mode ? Shape{bags_->bags.count} : ids_.shape();
    shape.push_back(dim);
    const auto read = [&](auto zero) {
        using T = decltype(zero);
        auto rows = input_rows<T>(gradient, gradient_name_.c_str(), shape);
        auto per_sample = weights_argument<T>(weights, "per_sample_weights", ids_, pooling_);
        gradient_array_ = std::move(rows.array);
        gradient_ = rows.rows;
        weights_array_ = std::move(per_sample.array);
        weights_ = per_sample.data;
        if (pooling_ == Pooling::max && table != nullptr) find_winners<T>(*table, dim);
    };
    if (dtype == "float32")
        read(float{});
    else
        read(double{});
}

template <class T>
void BackwardCall::find_winners(const Table& table, i64 dim) {
    const Bags& bags = bags_->bags;
    if (bags.longest() > std::numeric_limits<Position<T>>::max())
        throw py::value_error("a bag has more ids than max pooling can count in this dtype");
    const IdRule rule = table.view().rule;
    Buffer winners = Buffer::of<Position<T>>(bags.count * dim);
    std::optional<BadId> bad;
    {
        const py::gil_scoped_release no_gil;
        const Buffer maxima = Buffer::of<T>(bags.count * dim);
        const TableLock::Shared shared(table.lock());
        bad = pyembed::gather_bag<T>(read_only(table.rows<T>()), ids_.ids, rule, bags, pooling_, nullptr,
                                     {maxima.as<T>(), bags.count, dim, dim}, winners.as<Position<T>>());
    }
    if (bad) raise_bad_id(*bad, ids_shape(), rule.rows);
    winners_ = std::make_shared<const Buffer>(std::move(winners));
}

BackwardCall BackwardCall::scaled(double factor) const {
    BackwardCall copy(*this);
    copy.scale_ *= factor;
    return copy;
}

template <class T>
Contribution<T> BackwardCall::contribution() const {
    return {ids_.ids,
            bags_->bags,
            pooling_,
            static_cast<const T*>(weights_),
            std::get<Rows<const T>>(gradient_),
            scale_,
            by_frequency_,
            dropout_,
            winners_ ? winners_->as<Position<T>>() : nullptr};
}

void BackwardCall::refuse_overlap_with(const py::array& written, const char* name) const {
    refuse_overlap(written, name, gradient_array_, gradient_name_.c_str());
    refuse_overlap(written, name, ids_.array, "ids");
    refuse_overlap(written, name, weights_array_, "per_sample_weights");
}

namespace {

using Calls = std::vector<const BackwardCall*>;

template <class T>
std::vector<Contribution<T>> contributions_of(const Calls& calls) {
    std::vector<Contribution<T>> contributions;
    for (const BackwardCall* call : calls) contributions.push_back(call->contribution<T>());
    return contributions;
}

// The plan of calls on a table; or, where that is null, on any of rule.rows rows.
template <class T>
Plan<T> make_plan(const Calls& calls, const IdRule& rule, const Table* table) {
    const auto contributions = contributions_of<T>(calls);
    Plan<T> plan;
    std::optional<BadContribution> bad;
    {
        const py::gil_scoped_release no_gil;
        std::optional<TableLock::Shared> shared;
        if (table != nullptr) shared.emplace(table->lock());
        bad = plan.collect(contributions, rule, table != nullptr ? table->frozen() : RowSet());
    }
    if (bad) raise_bad_id(bad->id, calls[bad->contribution]->ids_shape(), rule.rows);
    return plan;
}

template <class T>
std::unique_ptr<SortedPlan<T>> make_sorted_plan(const Calls& calls, const IdRule& rule, const Table* table) {
    Plan<T> plan = make_plan<T>(calls, rule, table);
    const py::gil_scoped_release no_gil;
    return std::make_unique<SortedPlan<T>>(std::move(plan));
}

// (ids, values) of a plan, written by fill(ids, values) without the GIL.
template <class T, class Fill>
py::tuple ids_and_values(i64 count, i64 dim, Fill fill) {
    py::array_t<i64> ids(count);
    auto values = new_rows<T>({count, dim});
    {
        i64* const to = ids.mutable_data();
        const py::gil_scoped_release no_gil;
        fill(to, values.rows.data);
    }
    return py::make_tuple(std::move(ids), std::move(values.array));
}

template <class T>
py::tuple coalesced(const SortedPlan<T>& plan) {
    const Coalesced<T> rows(plan);
    return ids_and_values<T>(rows.count(), plan.dim(), [&](i64* ids, T* values) { rows.write(ids, values); });
}

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

    py::tuple coalesce() const {
        return std::visit([](const auto& plan) { return coalesced(*plan); }, plan_);
    }

    // Calls step(plan) in the table's dtype.
    template <class Step>
    void step(Step step) const {
        std::visit([&](const auto& plan) { step(*plan); }, plan_);
    }

    i64 table_rows() const { return table_.view().rule.rows; }

    // state (V, arrays, D), one block of `arrays` rows for each of the table's
    template <class T>
    Rows<T> state_rows(py::handle state, i64 arrays) const {
        const Shape shape = table_.view().shape();
        const auto rows = output_rows<T>(state, "state", {shape[0], arrays, shape[1]}).rows;
        return {rows.data, shape[0], arrays * shape[1], arrays * shape[1]};
    }

    // One pass without the GIL, with the table to itself.
    template <class T, class Rule>
    void apply(const SortedPlan<T>& plan, StepKernel<T, Rule> kernel, const Rule& rule, Rows<T> state) const {
        const Regularization<T> regularization{{static_cast<T>(l1_), static_cast<T>(l2_)}, constraint_};
        const py::gil_scoped_release no_gil;
        const TableLock::Alone alone(table_.lock());
        pyembed::step(plan, kernel, rule, table_.rows<T>(), state, regularization);
    }

  private:
    const Table& table_;
    double l1_;
    double l2_;
    RowConstraint constraint_;
    std::variant<std::unique_ptr<SortedPlan<float>>, std::unique_ptr<SortedPlan<double>>> plan_;
};

template <class Plan>
using ElementOf = typename std::decay_t<Plan>::Element;

void step_sgd(const SortedGradient& gradient, double learning_rate, double decay) {
    gradient.step([&](const auto& plan) {
        using T = ElementOf<decltype(plan)>;
        const Sgd<T> rule{static_cast<T>(learning_rate), static_cast<T>(decay)};
        gradient.apply(plan, kernels<T>().sgd, rule, Rows<T>{});
    });
}

void step_momentum(const SortedGradient& gradient, py::handle state, double learning_rate, double decay,
                   double momentum, bool nesterov) {
    gradient.step([&](const auto& plan) {
        using T = ElementOf<decltype(plan)>;
        const Momentum<T> rule{static_cast<T>(learning_rate), static_cast<T>(decay), static_cast<T>(momentum),
                               nesterov};
        gradient.apply(plan, kernels<T>().momentum, rule, gradient.state_rows<T>(state, 1));
    });
}

void step_adam(const SortedGradient& gradient, py::handle state, double learning_rate, double decay,
               double beta_1, double beta_2, double epsilon,
               const py::array_t<double, py::array::c_style>& corrections,
               std::optional<py::array_t<i64, py::array::c_style>> row_steps) {
    gradient.step([&](const auto& plan) {
        using T = ElementOf<decltype(plan)>;
        if (corrections.size() == 0) throw py::value_error("corrections is empty");
        if (row_steps && row_steps->size() != gradient.table_rows())
            throw py::value_error("row_steps must have one element for each row of the table");
        const Adam<T> rule{learning_rate,
                           static_cast<T>(decay),
                           static_cast<T>(1.0 - beta_1),
                           static_cast<T>(1.0 - beta_2),
                           static_cast<T>(epsilon),
                           corrections.data(),
                           corrections.size(),
                           row_steps ? row_steps->mutable_data() : nullptr};
        gradient.apply(plan, kernels<T>().adam, rule, gradient.state_rows<T>(state, 2));
    });
}

py::tuple expand_calls(const Table& table, const Calls& calls) {
    const TableView view = table.view();
    return std::visit(
        [&](auto rows) {
            using T = std::remove_pointer_t<decltype(rows.data)>;
            const Plan<T> plan = make_plan<T>(calls, view.rule, &table);
            return ids_and_values<T>(plan.count(), plan.dim(),
                                     [&](i64* ids, T* values) { expand(plan, ids, values); });
        },
        view.rows);
}

// As for a table of `rows` rows, though there is none.
py::tuple coalesce_rows(const BackwardCall& call, i64 rows) {
    const IdRule rule{rows, OutOfRange::raise, no_row};
    if (call.is_single()) return coalesced(*make_sorted_plan<float>({&call}, rule, nullptr));
    return coalesced(*make_sorted_plan<double>({&call}, rule, nullptr));
}

bool is_atomic(const std::string& method) {
    if (method != "auto" && method != "sorted" && method != "atomic")
        throw py::value_error("method='" + method + "' is none of 'auto', 'sorted', 'atomic'");
    return method == "atomic";
}

// dst += the gradient of the calls, after prepare(dst): nothing of it is written before all ids are known
// good.
template <class T, class Prepare>
void add_calls(const Calls& calls, const IdRule& rule, const Table* table, bool atomic, Rows<T> dst,
               Prepare prepare) {
    if (atomic) {
        const Plan<T> plan = make_plan<T>(calls, rule, table);
        const py::gil_scoped_release no_gil;
        prepare(dst);
        add_gradient_atomically(plan, dst);
    } else {
        const auto plan = make_sorted_plan<T>(calls, rule, table);
        const py::gil_scoped_release no_gil;
        prepare(dst);
        add_gradient(*plan, dst);
    }
}

// out (V, D) = the gradient, zeros elsewhere
void to_dense(const Table& table, const Calls& calls, py::handle out, const std::string& method) {
    const bool atomic = is_atomic(method);
    const TableView view = table.view();
    std::visit(
        [&](auto rows) {
            using T = std::remove_pointer_t<decltype(rows.data)>;
            const auto output = output_rows<T>(out, "out", view.shape());
            refuse_overlap(output.array, "out", view.array, "the table");
            for (const BackwardCall* call : calls) call->refuse_overlap_with(output.array, "out");
            add_calls(calls, view.rule, &table, atomic, output.rows, [](Rows<T> dst) { fill_zeros(dst); });
        },
        view.rows);
}

void scatter_add(py::handle dst_object, py::handle ids, py::handle rows, const std::string& method) {
    const bool atomic = is_atomic(method);
    std::visit(
        [&](auto dst) {
            using T = std::remove_pointer_t<decltype(dst.data)>;
            const BackwardCall call(ids, rows, dst.dim, dtype_name<T>(), py::none(), py::none(), std::nullopt,
                                    false, nullptr, false, {}, "rows");
            call.refuse_overlap_with(py::reinterpret_borrow<py::array>(dst_object), "dst");
            const IdRule rule{dst.rows, OutOfRange::raise, no_row};
            add_calls({&call}, rule, nullptr, atomic, dst, [](Rows<T>) {});
        },
        matrix_argument(dst_object, "dst", true));
}

}  // namespace

void bind_gradient(py::module_& module) {
    py::class_<BackwardCall>(module, "BackwardCall")
        .def(py::init([](py::handle ids, py::handle gradient, i64 dim, const std::string& dtype,
                         py::handle offsets, py::handle weights, const std::optional<std::string>& mode,
                         bool include_last_offset, const Table* table, bool by_frequency, double dropout,
                         u64 key, const std::string& gradient_name) {
                 return BackwardCall(ids, gradient, dim, dtype, offsets, weights, mode, include_last_offset,
                                     table, by_frequency, Dropout{dropout, key}, gradient_name);
             }),
             py::arg("ids"), py::arg("grad_output"), py::arg("dim"), py::arg("dtype"),
             py::arg("offsets") = py::none(), py::arg("per_sample_weights") = py::none(),
             py::arg("mode") = py::none(), py::arg("include_last_offset") = false, py::kw_only(),
             py::arg("table") = py::none(), py::arg("by_frequency") = false, py::arg("dropout") = 0.0,
             py::arg("key") = 0, py::arg("gradient_name") = "grad_output")
        .def("scaled", &BackwardCall::scaled, py::arg("factor"));

    py::class_<SortedGradient>(module, "SortedGradient")
        .def(py::init([](const Table& table, const Calls& calls, bool for_step, double l1, double l2,
                         const std::optional<std::tuple<double, double, double>>& norm, bool non_negative) {
                 RowConstraint constraint;
                 constraint.non_negative = non_negative;
                 constraint.has_norm = norm.has_value();
                 if (norm) std::tie(constraint.low, constraint.high, constraint.rate) = *norm;
                 return std::make_unique<SortedGradient>(table, calls, for_step, l1, l2, constraint);
             }),
             py::arg("table"), py::arg("calls"), py::kw_only(), py::arg("for_step") = false,
             py::arg("l1") = 0.0, py::arg("l2") = 0.0, py::arg("norm") = py::none(),
             py::arg("non_negative") = false, py::keep_alive<1, 2>(), py::keep_alive<1, 3>())
        .def("coalesce", &SortedGradient::coalesce)
        .def("step_sgd", step_sgd, py::arg("learning_rate"), py::arg("decay"))
        .def("step_momentum", step_momentum, py::arg("state"), py::arg("learning_rate"), py::arg("decay"),
             py::arg("momentum"), py::arg("nesterov"))
        .def("step_adam", step_adam, py::arg("state"), py::arg("learning_rate"), py::arg("decay"),
             py::arg("beta_1"), py::arg("beta_2"), py::arg("epsilon"), py::arg("corrections"),
             py::arg("row_steps").noconvert() = py::none());

    module.def("expand", expand_calls, py::arg("table"), py::arg("calls"));
    module.def("to_dense", to_dense, py::arg("table"), py::arg("calls"), py::arg("out"), py::arg("method"));
    module.def("coalesce", coalesce_rows, py::arg("call"), py::arg("rows"));
    module.def("scatter_add", scatter_add, py::arg("dst"), py::arg("ids"), py::arg("rows"),
               py::arg("method"));
}

}  // namespace pyembed
