// The rows of a matrix that are nearest to questions, and cosines.
#include "nearest/nearest.h"

#include "base/kernel.h"
#include "nearest/kernels.h"
#include "python/arguments.h"
#include "python/bind.h"
#include "python/no_gil.h"

namespace pyembed {
namespace {

RowsArgument<const double> questions_argument(py::handle object, i64 dim) {
    const Shape shape = shape_of(py::array(py::reinterpret_borrow<py::object>(object)));
    return input_rows<double>(object, "questions", {shape.empty() ? 0 : shape[0], dim});
}

// rows, cosines (questions, k)
py::tuple nearest_rows(py::handle matrix, py::handle questions_object, i64 k) {
    return std::visit(
        [&](auto rows) {
            using E = ElementOf<decltype(rows)>;
            const auto questions = questions_argument(questions_object, rows.dim);
            const Shape shape{questions.rows.rows, k};
            py::array_t<i64> found(shape);
            py::array_t<double> cosines(shape);
            i64* const to = found.mutable_data();
            double* const at = cosines.mutable_data();
            {
                const NoGil no_gil;
                nearest<E>(read_only(rows), questions.rows, k, to, at);
            }
            return py::make_tuple(found, cosines);
        },
        matrix_argument(matrix, "matrix", false));
}

// cosines (rows,): each row's with the question beside it
py::array_t<double> cosines(py::handle matrix, py::handle rows_object, py::handle questions_object) {
    const IdsArgument ids = ids_argument(rows_object, "rows");
    return std::visit(
        [&](auto rows) {
            using E = ElementOf<decltype(rows)>;
            const auto questions = questions_argument(questions_object, rows.dim);
            if (questions.rows.rows != ids.ids.count) throw py::value_error("each row needs a question");
            const IdPolicy policy{rows.rows};
            if (const auto bad = find_bad_id(ids.ids, policy)) raise_bad_id(*bad, ids.shape(), policy.rows);
            std::vector<i64> resolved(static_cast<std::size_t>(ids.ids.count));
            py::array_t<double> found(ids.ids.count);
            double* const to = found.mutable_data();
            {
                const NoGil no_gil;
                resolve_ids(ids.ids, policy, 0, ids.ids.count, resolved.data());
                std::vector<Pair> pairs;
                pairs.reserve(resolved.size());
                for (const i64 row : resolved) pairs.push_back({row, static_cast<i64>(pairs.size())});
                kernel<Cosines<E>>()(read_only(rows), questions.rows, pairs.data(), ids.ids.count, to);
            }
            return found;
        },
        matrix_argument(matrix, "matrix", false));
}

}  // namespace

void bind_nearest(py::module_& module) {
    module.def("nearest", nearest_rows, py::arg("matrix"), py::arg("questions"), py::arg("k"));
    module.def("cosines", cosines, py::arg("matrix"), py::arg("rows"), py::arg("questions"));
}

}  // namespace pyembed
