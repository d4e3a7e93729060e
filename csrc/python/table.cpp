// The table, with its memory in a NumPy array.
#include "table/table.h"

#include <algorithm>

#include "optimizers/state.h"
#include "python/array_storage.h"
#include "python/bind.h"
#include "python/no_gil.h"
#include "table/fill.h"
#include "table/row_sums.h"
#include "table/table_locks.h"

namespace pyembed {
namespace {

py::array_t<i64> array_of_numbers(const std::vector<i64>& values) {
    return py::array_t<i64>(static_cast<py::ssize_t>(values.size()), values.data());
}

// (rank, ranks, rows of all ranks), or none where the table is whole.
using GivenShare = std::tuple<i64, i64, i64>;

Share share_of(const AnyRows& rows, const std::optional<GivenShare>& given) {
    if (!given) return Share::whole(count_of(rows));
    const auto [rank, ranks, all] = *given;
    const Share share{rank, ranks, all};
    if (share.local_rows_before(all) != count_of(rows))
        throw py::value_error("the array has not as many rows as the share");
    return share;
}

std::unique_ptr<Table> make_table(py::handle array, const std::string& out_of_range,
                                  std::optional<i64> padding, std::optional<double> max_norm,
                                  double norm_type, bool writeable, std::optional<GivenShare> share) {
    const AnyRows rows = matrix_argument(array, "table", writeable || max_norm);
    const IdPolicy policy{count_of(rows), out_of_range_argument(out_of_range), padding.value_or(no_row)};
    std::optional<MaxNorm> limit;
    if (max_norm) limit = MaxNorm{*max_norm, norm_type};
    return std::make_unique<Table>(rows, ArrayStorage::of(array), policy, limit, share_of(rows, share));
}

// The row of each id, -1 for one that has none, whether or not it is the padding row.
std::vector<i64> resolved(py::handle object, const char* name, const IdPolicy& given) {
    const IdsArgument ids = ids_argument(object, name);
    const IdPolicy policy = given.without_padding();
    if (const auto bad = find_bad_id(ids.ids, policy)) raise_bad_id(*bad, ids.shape(), policy.rows);
    std::vector<i64> rows(static_cast<std::size_t>(ids.ids.count));
    resolve_ids(ids.ids, policy, 0, ids.ids.count, rows.data());
    return rows;
}

// Rows of the table by their numbers. A caller may change these meanwhile: none leads outside.
std::vector<i64> rows_argument(py::handle object, const Table& table) {
    std::vector<i64> rows = resolved(object, "rows", {table.view().policy.rows});
    rows.erase(std::remove(rows.begin(), rows.end(), no_row), rows.end());
    return rows;
}

void freeze(Table& table, py::handle object) {
    const std::vector<i64> rows = rows_argument(object, table);
    const NoGil no_gil;
    table.freeze(rows);
}

std::vector<i64> frozen_rows(const Table& table) {
    const NoGil no_gil;
    return table.frozen_rows();
}

void unfreeze(Table& table, py::handle object) {
    const std::vector<i64> rows = object.is_none() ? frozen_rows(table) : rows_argument(object, table);
    const NoGil no_gil;
    table.unfreeze(rows);
}

void assign(Table& table, py::handle values) {
    const TableView view = table.view();
    std::visit(
        [&](auto rows) {
            using E = ElementOf<decltype(rows)>;
            const auto from = input_rows<E>(values, "values", {rows.rows, rows.dim});
            const NoGil no_gil;
            table.assign<E>(from.rows);
        },
        view.rows);
}

// Moves a state into larger memory: its first rows become the old ones.
void move_state(State& from, State& to) {
    std::visit(
        [&](auto old) {
            auto larger = std::get<decltype(old)>(to.arrays);
            larger.rows = old.rows;
            copy_rows_but(read_only(old), larger, [](i64) { return false; });
            if (from.row_steps != nullptr) std::copy_n(from.row_steps, old.rows, to.row_steps);
        },
        from.arrays);
    std::swap(from.arrays, to.arrays);
    from.storage.swap(to.storage);
    std::swap(from.row_steps, to.row_steps);
    from.row_steps_storage.swap(to.row_steps_storage);
}

void grow(Table& table, py::handle array, State* state, State* larger_state,
          const std::optional<GivenShare>& given) {
    const AnyRows larger = matrix_argument(array, "array", true);
    const Share share = share_of(larger, given);
    std::shared_ptr<Storage> storage = ArrayStorage::of(array);
    std::shared_ptr<Storage> beside = larger_state != nullptr ? larger_state->storage : nullptr;
    const NoGil no_gil;
    table.grow(larger, storage, share, [&] {
        if (state == nullptr) return;
        if (larger_state == nullptr || state->rows() != table.policy().rows ||
            larger_state->rows() != count_of(larger) ||
            (state->row_steps != nullptr) != (larger_state->row_steps != nullptr))
            throw py::value_error("the state does not fit the table");
        move_state(*state, *larger_state);
        if (table.pending() != nullptr) table.pending()->move(larger, state->arrays, beside);
    });
}

// (ExactSum::size,): the parts of a sum over the rows of a matrix.
py::array_t<i64> sums_of_rows(py::handle array, const std::string& name, int exponent) {
    const auto summed = static_cast<Summed>(choice_argument(name, "summed", summed_names));
    return std::visit(
        [&](auto rows) {
            ExactSum sum;
            {
                const NoGil no_gil;
                sum = row_sums(read_only(rows), summed, exponent);
            }
            return py::array_t<i64>(ExactSum::size, sum.parts());
        },
        matrix_argument(array, "array", false));
}

// The number that has these parts, or several such arrays of them added up.
double exact_sum(const py::array_t<i64, py::array::c_style | py::array::forcecast>& parts) {
    if (parts.size() != ExactSum::size) throw py::value_error("parts are not those of a sum");
    ExactSum sum;
    sum.add_parts(parts.data());
    return sum.value();
}

// While `with` runs, nobody else writes the tables; or, where `alone`, reads them either. What is called
// meanwhile must not take their locks.
class Holding {
  public:
    Holding(py::tuple tables, bool alone) : objects_(std::move(tables)), alone_(alone) {}

    void enter() {
        std::vector<const Table*> tables;
        for (const py::handle table : objects_) tables.push_back(&table.cast<const Table&>());
        const NoGil no_gil;
        if (alone_)
            writing_.emplace(tables);
        else
            reading_.emplace(tables);
    }
    void exit(const py::args&) {
        const NoGil no_gil;
        writing_.reset();
        reading_.reset();
    }

  private:
    py::tuple objects_;
    bool alone_;
    std::optional<TableLocks<TableLock::Alone>> writing_;
    std::optional<TableLocks<TableLock::Shared>> reading_;
};

}  // namespace

void bind_table(py::module_& module) {
    py::class_<Table>(module, "Table")
        .def(py::init(&make_table), py::arg("array"), py::kw_only(), py::arg("out_of_range") = "raise",
             py::arg("padding_idx") = py::none(), py::arg("max_norm") = py::none(),
             py::arg("norm_type") = 2.0, py::arg("writeable") = true, py::arg("share") = py::none())
        .def_property_readonly("array", [](const Table& table) { return array_of(table.view().storage); })
        .def(
            "resolve",
            [](const Table& table, py::handle ids) {
                return array_of_numbers(resolved(ids, "ids", table.view().policy));
            },
            py::arg("ids"))
        .def("freeze", freeze, py::arg("rows"))
        .def("unfreeze", unfreeze, py::arg("rows") = py::none())
        .def("reserve_frozen", &Table::reserve_frozen, py::call_guard<NoGil>())
        .def("frozen_rows", [](const Table& table) { return array_of_numbers(frozen_rows(table)); })
        .def("assign", assign, py::arg("values"))
        .def("grow", grow, py::arg("array"), py::arg("state") = py::none(),
             py::arg("larger_state") = py::none(), py::arg("share") = py::none())
        .def("settle", &Table::settle, py::call_guard<NoGil>())
        .def("detach", &Table::detach, py::call_guard<NoGil>())
        .def("restart", &Table::restart, py::arg("t"), py::call_guard<NoGil>())
        .def("stamps", [](const Table& table) {
            std::vector<i64> stamps;
            {
                const NoGil no_gil;
                stamps = table.stamps();
            }
            return array_of_numbers(stamps);
        });

    module.attr("sum_parts") = static_cast<int>(ExactSum::size);
    module.def("row_sums", sums_of_rows, py::arg("array"), py::arg("summed"), py::arg("exponent") = 0);
    module.def("exact_sum", exact_sum, py::arg("parts"));

    py::class_<Holding>(module, "Holding")
        .def(py::init<py::tuple, bool>(), py::arg("tables"), py::kw_only(), py::arg("alone"))
        .def("__enter__", &Holding::enter)
        .def("__exit__", &Holding::exit);
}

}  // namespace pyembed
