#include "table.h"

#include <memory>

#include "../operations.h"

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

}  // namespace

Table::Table(py::handle array, const char* name, const std::string& out_of_range, std::optional<i64> padding,
             bool writeable)
    : array_(py::reinterpret_borrow<py::array>(array)),
      rows_(matrix_argument(array, name, writeable)),
      rule_{array_.shape(0), out_of_range_argument(out_of_range), padding.value_or(no_row)} {}

py::array Table::gather(py::handle ids_object, py::handle out) const {
    const IdsArgument ids = ids_argument(ids_object);
    // Looked up as it is, the padding row is a row like any other.
    const IdRule rule{rule_.rows, rule_.out_of_range, no_row};
    return std::visit(
        [&](auto rows) -> py::array {
            using T = std::remove_pointer_t<decltype(rows.data)>;
            Shape shape = ids.shape();
            shape.push_back(rows.dim);
            const auto output = output_or_new<T>(out, shape, array_, ids.array);
            std::optional<BadId> bad;
            {
                const py::gil_scoped_release no_gil;
                const TableLock::Shared shared(lock_);
                bad = pyembed::gather(read_only(rows), ids.ids, rule, output.rows);
            }
            if (bad) raise_bad_id(*bad, ids.shape(), rule.rows);
            return output.array;
        },
        rows_);
}

py::array Table::gather_bag(py::handle ids_object, py::handle offsets, py::handle weights_object,
                            const std::string& mode, bool include_last_offset, py::handle out,
                            const char* weights_name) const {
    const IdsArgument ids = ids_argument(ids_object);
    const BagsArgument bags = bags_argument(ids, offsets, include_last_offset);
    const Pooling pooling = pooling_argument(mode);
    return std::visit(
        [&](auto rows) -> py::array {
            using T = std::remove_pointer_t<decltype(rows.data)>;
            const auto weights = weights_argument<T>(weights_object, weights_name, ids);
            const auto output = output_or_new<T>(out, {bags.bags.count, rows.dim}, array_, ids.array);
            refuse_overlap(output.array, "out", weights.array, weights_name);
            std::optional<BadId> bad;
            {
                const py::gil_scoped_release no_gil;
                const TableLock::Shared shared(lock_);
                bad = pyembed::gather_bag(read_only(rows), ids.ids, rule_, bags.bags, pooling, weights.data,
                                          output.rows);
            }
            if (bad) raise_bad_id(*bad, ids.shape(), rule_.rows);
            return output.array;
        },
        rows_);
}

namespace {

Table stateless(py::handle table) {
    return {table, "table", "raise", std::nullopt, false};
}

}  // namespace

void bind_table(py::module_& module) {
    py::class_<Table>(module, "Table")
        .def(py::init([](py::handle array, const std::string& out_of_range, std::optional<i64> padding,
                         bool writeable) {
                 return std::make_unique<Table>(array, "table", out_of_range, padding, writeable);
             }),
             py::arg("array"), py::kw_only(), py::arg("out_of_range") = "raise",
             py::arg("padding_idx") = py::none(), py::arg("writeable") = true)
        .def_property_readonly("array", &Table::array)
        .def("gather", &Table::gather, py::arg("ids"), py::arg("out") = py::none())
        .def(
            "gather_bag",
            [](const Table& table, py::handle ids, py::handle offsets, py::handle weights,
               const std::string& mode, bool include_last_offset, py::handle out) {
                return table.gather_bag(ids, offsets, weights, mode, include_last_offset, out,
                                        "per_sample_weights");
            },
            py::arg("ids"), py::arg("offsets"), py::arg("per_sample_weights"), py::arg("mode"),
            py::arg("include_last_offset") = false, py::arg("out") = py::none());

    module.def(
        "gather",
        [](py::handle table, py::handle ids, py::handle out) { return stateless(table).gather(ids, out); },
        py::arg("table"), py::arg("ids"), py::arg("out") = py::none());
    module.def(
        "gather_bag",
        [](py::handle table, py::handle ids, py::handle offsets, py::handle weights, const std::string& mode,
           py::handle out) {
            return stateless(table).gather_bag(ids, offsets, weights, mode, false, out, "weights");
        },
        py::arg("table"), py::arg("ids"), py::arg("offsets"), py::arg("per_sample_weights"), py::arg("mode"),
        py::arg("out") = py::none());
}

}  // namespace pyembed
