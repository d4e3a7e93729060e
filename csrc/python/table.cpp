#include "table.h"

#include <memory>

namespace pyembed {
namespace {

template <class T>
RowsArgument<T> output_or_new(py::handle out, const Shape& shape, const py::array& table,
                              const py::array& ids) {
    if (out.is_none()) return new_rows<T>(shape);
    auto output = output_rows<T>(out, "out", shape);
    refuse_overlap(output.array, "out", table, "the table");
    refuse_overlap(output.array, "out", ids, "ids");
    return output;
}

// Looked up as it is, the padding row is a row like any other.
IdRule without_padding(const IdRule& rule) {
    return {rule.rows, rule.out_of_range, no_row};
}

py::array_t<i64> array_of(const std::vector<i64>& values) {
    return py::array_t<i64>(static_cast<py::ssize_t>(values.size()), values.data());
}

template <class T>
Shape with_dim(Shape shape, const Rows<T>& rows) {
    shape.push_back(rows.dim);
    return shape;
}

}  // namespace

Table::Table(py::handle array, const char* name, const std::string& out_of_range, std::optional<i64> padding,
             std::optional<double> max_norm, double norm_type, bool writeable)
    : out_of_range_(out_of_range),
      array_(py::reinterpret_borrow<py::array>(array)),
      rows_(matrix_argument(array, name, writeable || max_norm)),
      rule_{array_.shape(0), out_of_range_argument(out_of_range), padding.value_or(no_row)} {
    if (max_norm) max_norm_ = MaxNorm{*max_norm, norm_type};
}

TableView Table::view() const {
    const std::lock_guard<std::mutex> guard(moving_);
    return {array_, rows_, rule_};
}

template <class T, class Read>
std::optional<BadId> Table::read(const Ids& ids, const IdRule& rule, bool renormalise, Read read) const {
    const py::gil_scoped_release no_gil;
    if (max_norm_ && renormalise) {
        const auto above = [&] {
            return readable<T>(
                [&](const Readable<T>& table) { return rows_above(table, ids, rule_, frozen_, *max_norm_); });
        };
        if (const auto bad = find_bad_id(ids, rule)) return bad;
        {
            const TableLock::Shared shared(lock_);
            if (above().empty()) return readable<T>(read);
        }
        const TableLock::Alone alone(lock_);
        const std::vector<i64> too_long = above();
        if (moments_) settle_rows(moments_->unsettled<T>(), rows<T>(), too_long);
        pyembed::renormalise(rows<T>(), too_long, *max_norm_);
        return readable<T>(read);
    }
    const TableLock::Shared shared(lock_);
    return readable<T>(read);
}

template <class F>
void Table::alone(F f) const {
    const py::gil_scoped_release no_gil;
    const TableLock::Alone alone(lock_);
    std::visit([&](auto rows) { f(rows); }, rows_);
}

py::array Table::gather(py::handle ids_object, py::handle out, double dropout, u64 key,
                        bool renormalise) const {
    const IdsArgument ids = ids_argument(ids_object);
    const TableView view = this->view();
    const IdRule rule = without_padding(view.rule);
    return std::visit(
        [&](auto rows) -> py::array {
            using T = std::remove_pointer_t<decltype(rows.data)>;
            const auto output = output_or_new<T>(out, with_dim(ids.shape(), rows), view.array, ids.array);
            const auto bad = read<T>(ids.ids, rule, renormalise, [&](const Readable<T>& live) {
                return pyembed::gather(live, ids.ids, rule, Dropout{dropout, key}, output.rows);
            });
            if (bad) raise_bad_id(*bad, ids.shape(), rule.rows);
            return output.array;
        },
        view.rows);
}

py::array Table::gather_bag(py::handle ids_object, py::handle offsets, py::handle weights_object,
                            const std::string& mode, bool include_last_offset, py::handle out,
                            const char* weights_name, bool renormalise) const {
    const IdsArgument ids = ids_argument(ids_object);
    const BagsArgument bags = bags_argument(ids, offsets, include_last_offset);
    const Pooling pooling = pooling_argument(mode);
    const TableView view = this->view();
    return std::visit(
        [&](auto rows) -> py::array {
            using T = std::remove_pointer_t<decltype(rows.data)>;
            const auto weights = weights_argument<T>(weights_object, weights_name, ids, pooling);
            const auto output = output_or_new<T>(out, {bags.bags.count, rows.dim}, view.array, ids.array);
            refuse_overlap(output.array, "out", weights.array, weights_name);
            const auto bad = read<T>(ids.ids, view.rule, renormalise, [&](const Readable<T>& live) {
                return pyembed::gather_bag(live, ids.ids, view.rule, bags.bags, pooling, weights.data,
                                           output.rows);
            });
            if (bad) raise_bad_id(*bad, ids.shape(), view.rule.rows);
            return output.array;
        },
        view.rows);
}

py::array Table::weight_gradient(py::handle ids_object, py::handle gradient, py::handle offsets,
                                 py::handle weights_object, const std::string& mode,
                                 bool include_last_offset) const {
    const IdsArgument ids = ids_argument(ids_object);
    const BagsArgument bags = bags_argument(ids, offsets, include_last_offset);
    const Pooling pooling = pooling_argument(mode);
    if (pooling == Pooling::max) throw py::value_error("mode='max' takes no per_sample_weights");
    const TableView view = this->view();
    return std::visit(
        [&](auto rows) -> py::array {
            using T = std::remove_pointer_t<decltype(rows.data)>;
            const auto weights = weights_argument<T>(weights_object, "per_sample_weights", ids, pooling);
            const auto upstream = input_rows<T>(gradient, "grad_output", {bags.bags.count, rows.dim});
            py::array_t<T> out(ids.shape());
            T* const to = out.mutable_data();
            const auto bad = read<T>(ids.ids, view.rule, false, [&](const Readable<T>& live) {
                const auto outside = find_bad_id(ids.ids, view.rule);
                if (!outside)
                    pyembed::weight_gradient(live, ids.ids, view.rule, bags.bags, pooling, weights.data,
                                             upstream.rows, to);
                return outside;
            });
            if (bad) raise_bad_id(*bad, ids.shape(), view.rule.rows);
            return out;
        },
        view.rows);
}

py::array_t<i64> Table::resolve(py::handle ids_object) const {
    const IdsArgument ids = ids_argument(ids_object);
    const IdRule rule = without_padding(view().rule);
    if (const auto bad = find_bad_id(ids.ids, rule)) raise_bad_id(*bad, ids.shape(), rule.rows);
    py::array_t<i64> rows(ids.ids.count);
    resolve_ids(ids.ids, rule, 0, ids.ids.count, rows.mutable_data());
    return rows;
}

template <class Change>
void Table::change_frozen(py::handle rows_object, Change change) {
    const IdsArgument ids = ids_argument(rows_object, "rows");
    const IdRule rule{view().rule.rows, OutOfRange::raise, no_row};
    if (const auto bad = find_bad_id(ids.ids, rule)) raise_bad_id(*bad, ids.shape(), rule.rows);
    std::vector<i64> rows(static_cast<std::size_t>(ids.ids.count));
    resolve_ids(ids.ids, rule, 0, ids.ids.count, rows.data());
    alone([&](auto table) {
        if (!rows.empty()) frozen_.reserve(rule.rows);
        for (const i64 row : rows)
            if (row != no_row) change(table, row);
    });
}

void Table::freeze(py::handle rows) {
    change_frozen(rows, [&](auto table, i64 row) {
        frozen_.insert(row);
        if (moments_) moments_->stop(table, row);
    });
}

void Table::unfreeze(py::handle rows) {
    change_frozen(rows.is_none() ? py::object(frozen_rows()) : py::reinterpret_borrow<py::object>(rows),
                  [&](auto, i64 row) {
                      frozen_.erase(row);
                      if (moments_ && row != rule_.padding) moments_->go_on(row);
                  });
}

std::vector<i64> Table::frozen_rows_list() const {
    const py::gil_scoped_release no_gil;
    const TableLock::Shared shared(lock_);
    return frozen_.rows();
}

py::array_t<i64> Table::frozen_rows() const {
    return array_of(frozen_rows_list());
}

void Table::assign(py::handle array) {
    const TableView view = this->view();
    std::visit(
        [&](auto rows) {
            using T = std::remove_pointer_t<decltype(rows.data)>;
            const auto values = input_rows<T>(array, "values", view.shape());
            const py::gil_scoped_release no_gil;
            const TableLock::Alone alone(lock_);
            pyembed::assign(values.rows, std::get<Rows<T>>(rows_), rule_.padding, frozen_);
        },
        view.rows);
}

void Table::grow(py::handle array, py::handle state) {
    const AnyRows into = matrix_argument(array, "array", true);
    // The old arrays die with the GIL held, after the lock is free.
    py::array moved = py::reinterpret_borrow<py::array>(array);
    py::array moved_state;
    if (state.is_none()) {
        detach_moments();  // of an optimizer that died
    } else {
        settle();
        moved_state = py::reinterpret_borrow<py::array>(state);
    }
    std::visit(
        [&](auto to) {
            using T = std::remove_pointer_t<decltype(to.data)>;
            const py::gil_scoped_release no_gil;
            const TableLock::Alone alone(lock_);
            const Rows<T> from = std::get<Rows<T>>(rows_);
            if (to.rows < from.rows || to.dim != from.dim) throw py::value_error("array is no larger table");
            pyembed::assign(read_only(from), Rows<T>{to.data, from.rows, to.dim, to.stride}, no_row,
                            RowSet());
            const py::gil_scoped_acquire gil;
            const std::lock_guard<std::mutex> guard(moving_);
            if (moments_) moments_->grow(moved_state);
            std::swap(array_, moved);
            rows_ = to;
            rule_.rows = to.rows;
        },
        into);
}

void Table::attach_moments(py::handle state, double beta_1, double beta_2, double epsilon, int terms,
                           i64 horizon, i64 t) {
    const TableView view = this->view();
    std::visit(
        [&](auto rows) {
            using T = std::remove_pointer_t<decltype(rows.data)>;
            const auto moments = output_rows<T>(state, "state", {rows.rows, 2, rows.dim});
            std::vector<i64> fixed = frozen_rows_list();
            if (view.rule.padding != no_row) fixed.push_back(view.rule.padding);
            auto made = std::make_unique<ExactMoments>(
                moments.array, epsilon,
                SkippedSteps(beta_1, beta_2, terms, std::min(horizon, SkippedSteps::most_steps - 1), t),
                fixed);
            detach_moments();
            alone([&](auto live) {
                if (live.rows != rows.rows) throw py::value_error("the table grew meanwhile");
                moments_.swap(made);
                has_moments_ = true;
            });
        },
        view.rows);
}

void Table::detach_moments() {
    if (!has_moments_) return;
    std::unique_ptr<ExactMoments> dying;  // with the GIL held
    alone([&](auto rows) {
        if (moments_) moments_->settle_all(rows);
        moments_.swap(dying);
        has_moments_ = false;
    });
}

void Table::settle() {
    if (!has_moments_) return;  // and so waits for nobody
    alone([&](auto rows) {
        if (moments_) moments_->settle_all(rows);
    });
}

py::array_t<i64> Table::stamps() const {
    std::vector<i64> stamps;
    alone([&](auto) {
        if (moments_) stamps = moments_->stamps();
    });
    return array_of(stamps);
}

py::tuple Table::state() {
    settle();
    const TableView view = this->view();
    const py::object padding =
        view.rule.padding == no_row ? py::none() : py::object(py::int_(view.rule.padding));
    const py::object max_norm = max_norm_ ? py::object(py::float_(max_norm_->limit)) : py::none();
    return py::make_tuple(view.array, out_of_range_, padding, max_norm, max_norm_ ? max_norm_->p : 2.0,
                          view.array.writeable(), frozen_rows());
}

std::unique_ptr<Table> Table::from_state(const py::tuple& state) {
    py::array array = state[0].cast<py::array>();
    const bool writeable = state[5].cast<bool>();
    if (writeable && !array.writeable()) array = array.attr("copy")();  // pickled out of band
    if (!writeable) array.attr("flags").attr("writeable") = false;
    auto table = std::make_unique<Table>(
        array, "table", state[1].cast<std::string>(), state[2].cast<std::optional<i64>>(),
        state[3].cast<std::optional<double>>(), state[4].cast<double>(), writeable);
    if (py::len(state[6]) > 0) table->freeze(state[6]);
    return table;
}

namespace {

// A plain array, for the length of a call.
class PlainTable : public Table {
  public:
    explicit PlainTable(py::handle table)
        : Table(table, "table", "raise", std::nullopt, std::nullopt, 2.0, false) {}
};

}  // namespace

void bind_table(py::module_& module) {
    py::class_<Table>(module, "Table")
        .def(py::init([](py::handle array, const std::string& out_of_range, std::optional<i64> padding,
                         std::optional<double> max_norm, double norm_type, bool writeable) {
                 return std::make_unique<Table>(array, "table", out_of_range, padding, max_norm, norm_type,
                                                writeable);
             }),
             py::arg("array"), py::kw_only(), py::arg("out_of_range") = "raise",
             py::arg("padding_idx") = py::none(), py::arg("max_norm") = py::none(),
             py::arg("norm_type") = 2.0, py::arg("writeable") = true)
        // Not by __getstate__, which pickle's oldest protocols would not ask for.
        .def("__reduce__",
             [](Table& table) {
                 const auto restore = py::module_::import("pyembed._core").attr("restore_table");
                 return py::make_tuple(restore, table.state());
             })
        .def_property_readonly("array", [](const Table& table) { return table.view().array; })
        .def("gather", &Table::gather, py::arg("ids"), py::arg("out") = py::none(), py::arg("dropout") = 0.0,
             py::arg("key") = 0, py::arg("renormalise") = true)
        .def(
            "gather_bag",
            [](const Table& table, py::handle ids, py::handle offsets, py::handle weights,
               const std::string& mode, bool include_last_offset, py::handle out, bool renormalise) {
                return table.gather_bag(ids, offsets, weights, mode, include_last_offset, out,
                                        "per_sample_weights", renormalise);
            },
            py::arg("ids"), py::arg("offsets"), py::arg("per_sample_weights"), py::arg("mode"),
            py::arg("include_last_offset") = false, py::arg("out") = py::none(),
            py::arg("renormalise") = true)
        .def("weight_gradient", &Table::weight_gradient, py::arg("ids"), py::arg("grad_output"),
             py::arg("offsets"), py::arg("per_sample_weights"), py::arg("mode"),
             py::arg("include_last_offset") = false)
        .def("resolve", &Table::resolve, py::arg("ids"))
        .def("freeze", &Table::freeze, py::arg("rows"))
        .def("unfreeze", &Table::unfreeze, py::arg("rows") = py::none())
        .def("frozen_rows", &Table::frozen_rows)
        .def("assign", &Table::assign, py::arg("values"))
        .def("grow", &Table::grow, py::arg("array"), py::arg("state") = py::none())
        .def("attach_moments", &Table::attach_moments, py::arg("state"), py::arg("beta_1"), py::arg("beta_2"),
             py::arg("epsilon"), py::arg("terms"), py::arg("horizon"), py::arg("t"))
        .def("detach_moments", &Table::detach_moments)
        .def("settle", &Table::settle)
        .def("stamps", &Table::stamps);

    module.def("restore_table", [](const py::args& state) { return Table::from_state(state); });
    module.def(
        "gather",
        [](py::handle table, py::handle ids, py::handle out) {
            return PlainTable(table).gather(ids, out, 0.0, 0, false);
        },
        py::arg("table"), py::arg("ids"), py::arg("out") = py::none());
    module.def(
        "gather_bag",
        [](py::handle table, py::handle ids, py::handle offsets, py::handle weights, const std::string& mode,
           py::handle out) {
            return PlainTable(table).gather_bag(ids, offsets, weights, mode, false, out, "weights", false);
        },
        py::arg("table"), py::arg("ids"), py::arg("offsets"), py::arg("per_sample_weights"), py::arg("mode"),
        py::arg("out") = py::none());
}

}  // namespace pyembed
