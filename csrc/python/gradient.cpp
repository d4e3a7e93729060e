#include "gradient.h"

#include <tuple>

namespace pyembed {
namespace {

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

py::tuple SortedGradient::coalesce() const {
    return std::visit([](const auto& plan) { return coalesced(*plan); }, plan_);
}

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

    py::class_<SortedGradient> gradient(module, "SortedGradient");
    gradient
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
        .def("coalesce", &SortedGradient::coalesce);
    bind_steps(gradient);

    module.def("expand", expand_calls, py::arg("table"), py::arg("calls"));
    module.def("to_dense", to_dense, py::arg("table"), py::arg("calls"), py::arg("out"), py::arg("method"));
    module.def("coalesce", coalesce_rows, py::arg("call"), py::arg("rows"));
    module.def("scatter_add", scatter_add, py::arg("dst"), py::arg("ids"), py::arg("rows"),
               py::arg("method"));
}

}  // namespace pyembed
