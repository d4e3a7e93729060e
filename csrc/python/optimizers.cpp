// Optimizers: rules, states, and steps of all tables at once.
#include <deque>
#include <map>

#include "optimizers/step.h"
#include "python/array_storage.h"
#include "python/backward_call.h"
#include "python/bind.h"
#include "python/no_gil.h"

namespace pyembed {
namespace {

std::unique_ptr<Rule> rule_of(const std::string& name, const py::kwargs& numbers) {
    std::map<std::string, double> given;
    for (const auto& [key, value] : numbers) given[key.cast<std::string>()] = value.cast<double>();
    return make_rule(name, given);
}

bool equal(const Rule& rule, const py::object& other) {
    if (!py::isinstance<Rule>(other)) return false;
    const auto& that = other.cast<const Rule&>();
    return std::string(rule.name()) == that.name() && rule.numbers() == that.numbers();
}

std::string text_of(const Rule& rule) {
    std::string text = std::string("Rule('") + rule.name() + "'";
    for (const auto& [name, number] : rule.numbers())
        text += ", " + name + "=" + py::repr(py::float_(number)).cast<std::string>();
    return text + ")";
}

template <class T>
Rows<T> state_rows(py::handle array, const Shape& shape) {
    const auto arrays = output_rows<T>(array, "state", shape);
    const i64 width = shape[1] * shape[2];
    if (shape[0] > 1 && arrays.rows.dim > 0 && arrays.rows.stride != arrays.rows.dim)
        throw py::value_error("state must be in C order, with nothing between its rows");
    return {arrays.rows.data, shape[0], width, width};
}

std::unique_ptr<State> make_state(const py::array& array, i64 t,
                                  std::optional<py::array_t<i64, py::array::c_style>> row_steps) {
    const Shape shape = shape_of(array);
    if (shape.size() != 3)
        throw py::value_error("state must have three axes (rows, arrays, width), not shape " +
                              shape_text(shape));
    auto state = std::make_unique<State>();
    with_arithmetic(arithmetic_name(array, "state"),
                    [&](auto zero) { state->arrays = state_rows<decltype(zero)>(array, shape); });
    state->storage = ArrayStorage::of(array);
    state->t = t;
    if (row_steps) {
        if (row_steps->size() != shape[0])
            throw py::value_error("row_steps must have one element for each row of the table");
        state->row_steps = row_steps->mutable_data();
        state->row_steps_storage = ArrayStorage::of(*row_steps);
    }
    return state;
}

// One table's share of a step, as Python gives it.
struct BoundUpdate {
    py::object table_object;
    py::object calls_object;
    py::object rule_object;
    py::object state_object;
    Calls calls;
    double learning_rate;
    double decay;
    Regularization regularization;

    Table& table() const { return table_object.cast<Table&>(); }
    const Rule& rule() const { return rule_object.cast<const Rule&>(); }
    State& state() const { return state_object.cast<State&>(); }
};

BoundUpdate make_update(py::object table, py::object calls, py::object rule, py::object state,
                        double learning_rate, double decay, double l1, double l2,
                        const std::optional<std::tuple<double, double, double>>& norm, bool non_negative) {
    Regularization regularization{{l1, l2}, {}};
    RowConstraint& constraint = regularization.constraint;
    constraint.non_negative = non_negative;
    constraint.has_norm = norm.has_value();
    if (norm) std::tie(constraint.low, constraint.high, constraint.rate) = *norm;
    auto given = calls.cast<Calls>();
    BoundUpdate update{std::move(table), std::move(calls), std::move(rule), std::move(state),
                       std::move(given), learning_rate,    decay,           regularization};
    update.table(), update.rule(), update.state();  // raise where they are something else
    return update;
}

// Raises where a kernel could not take the update as it is.
Update checked(const BoundUpdate& bound, const Calls& calls) {
    const TableView view = bound.table().view();
    if (!array_of(view.storage).writeable()) throw py::value_error("the table is read-only");
    for (const BoundCall* call : calls) call->check_dim(view.dim());
    return std::visit(
        [&](auto rows) {
            using T = Compute<ElementOf<decltype(rows)>>;
            State& state = bound.state();
            const auto* const arrays = std::get_if<Rows<T>>(&state.arrays);
            const StateShape shape = bound.rule().state_shape(rows.dim);
            if (arrays == nullptr) throw py::type_error("the state has another dtype than the table");
            if (arrays->dim != shape.arrays * shape.width)
                throw py::value_error("the state has another shape than the rule's");
            return Update{bound.table(),       calls_of<T>(calls), bound.rule(),        state,
                          bound.learning_rate, bound.decay,        bound.regularization};
        },
        view.rows);
}

// Everything that a step writes.
Written written_by(const std::vector<const BoundUpdate*>& updates) {
    Written written;
    for (const BoundUpdate* update : updates) {
        const State& state = update->state();
        written.add(array_of(update->table().view().storage));
        written.add(array_of(state.storage));
        if (state.row_steps != nullptr) written.add(array_of(state.row_steps_storage));
    }
    return written;
}

// Gradients count as they are when the step is called: what it would overwrite is copied first.
// `before_writing`, or None, is called when the step can no longer fail; it may refuse by raising.
void step_tables(const std::vector<const BoundUpdate*>& bound, const py::object& before_writing) {
    const Written written = written_by(bound);
    std::deque<BoundCall> copies;
    std::vector<Calls> calls;
    std::vector<Update> updates;
    for (const BoundUpdate* update : bound) {
        calls.push_back(update->calls);
        for (const BoundCall*& call : calls.back())
            if (call->reads(written)) call = &copies.emplace_back(call->apart_from(written));
        updates.push_back(checked(*update, calls.back()));
    }
    std::function<void()> ask;
    if (!before_writing.is_none())
        ask = [&] {
            const py::gil_scoped_acquire gil;
            before_writing();
        };
    std::optional<BadUpdate> bad;
    {
        const NoGil no_gil;
        bad = step(updates, ask);
    }
    if (bad) {
        const i64 rows = updates[bad->update].table.view().policy.rows;
        raise_bad_id(bad->call.id, calls[bad->update][bad->call.call]->ids_shape(), rows);
    }
}

}  // namespace

void bind_optimizers(py::module_& module) {
    py::class_<Rule>(module, "Rule")
        .def(py::init(&rule_of), py::arg("name"))
        .def_property_readonly("name", &Rule::name)
        .def(
            "state_shape",
            [](const Rule& rule, i64 dim) {
                const StateShape shape = rule.state_shape(dim);
                return py::make_tuple(shape.arrays, shape.width);
            },
            py::arg("dim"))
        .def("attach", &Rule::attach, py::arg("table"), py::arg("state"), py::call_guard<NoGil>())
        .def("__eq__", equal, py::arg("other"))
        .def("__hash__", [](const Rule& rule) { return py::hash(py::str(text_of(rule))); })
        .def("__repr__", text_of);

    py::class_<State>(module, "State")
        .def(py::init(&make_state), py::arg("array"), py::arg("t") = 0,
             py::arg("row_steps").noconvert() = py::none())
        .def_property_readonly("array", [](const State& state) { return array_of(state.storage); })
        .def_property_readonly("row_steps",
                               [](const State& state) -> py::object {
                                   if (state.row_steps == nullptr) return py::none();
                                   return array_of(state.row_steps_storage);
                               })
        .def_readwrite("t", &State::t);

    py::class_<BoundUpdate>(module, "Update")
        .def(py::init(&make_update), py::arg("table"), py::arg("calls"), py::arg("rule"), py::arg("state"),
             py::arg("learning_rate"), py::arg("decay") = 1.0, py::kw_only(), py::arg("l1") = 0.0,
             py::arg("l2") = 0.0, py::arg("norm") = py::none(), py::arg("non_negative") = false);

    module.def("step", step_tables, py::arg("updates"), py::arg("before_writing") = py::none());
}

}  // namespace pyembed
