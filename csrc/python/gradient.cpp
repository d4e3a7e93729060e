// Gradients by themselves: expanded, coalesced, or added to an array.
#include "gradient/gradient.h"

#include "python/array_storage.h"
#include "python/backward_call.h"
#include "python/bind.h"
#include "python/no_gil.h"
#include "python/owners.h"

namespace pyembed {
namespace {

// What a gradient is of: a table, or, where that is null, any `policy.rows` rows.
struct Target {
    const Table* table;
    IdPolicy policy;
    const Owners* owners = nullptr;

    static Target of(const Table& table) { return {&table, table.view().policy}; }
    static Target of(i64 rows) { return {nullptr, {rows}}; }
    static Target of(const BoundOwners& given) { return {nullptr, given.policy, &given.owners}; }
};

// Raises IndexError where an id is bad.
template <class T>
Summands<T> collect(const Target& target, const Calls& calls) {
    if (target.table != nullptr)
        for (const BoundCall* call : calls) call->check_dim(target.table->view().dim());
    const auto given = calls_of<T>(calls);
    Summands<T> summands;
    std::optional<BadCall> bad;
    {
        const NoGil no_gil;
        const RowSet none;
        std::optional<TableLock::Shared> shared;
        if (target.table != nullptr) shared.emplace(target.table->lock());
        bad = summands.collect(given, target.policy, target.table != nullptr ? target.table->frozen() : none,
                               target.owners);
    }
    if (bad) raise_bad_id(bad->id, calls[bad->call]->ids_shape(), target.policy.rows);
    return summands;
}

// In a unique_ptr, since its views point into it.
template <class T>
std::unique_ptr<Segments<T>> sort(Summands<T> summands) {
    const NoGil no_gil;
    return std::make_unique<Segments<T>>(std::move(summands));
}

// (ids, values), written by fill(ids, values) without the GIL.
template <class T, class Fill>
py::tuple ids_and_values(i64 count, i64 dim, Fill fill) {
    py::array ids = new_numbers({count});
    auto values = new_rows<T>({count, dim});
    {
        i64* const to = static_cast<i64*>(ids.mutable_data());
        const NoGil no_gil;
        fill(to, values.rows.data);
    }
    return py::make_tuple(std::move(ids), std::move(values.array));
}

template <class T>
py::tuple coalesced(const Target& target, const Calls& calls) {
    const auto segments = sort(collect<T>(target, calls));
    const Coalesced<T> rows(*segments);
    return ids_and_values<T>(rows.count(), segments->dim(),
                             [&](i64* ids, T* values) { rows.write(ids, values); });
}

// Returns f(T{}), where T is what the table's arithmetic is done in.
template <class F>
auto in_arithmetic_of(const AnyRows& rows, F f) {
    return std::visit([&](auto r) { return f(Compute<ElementOf<decltype(r)>>{}); }, rows);
}

// In order of position, or of the rows' owners first.
template <class T>
py::tuple expanded(const Target& target, const Calls& calls) {
    Summands<T> summands = collect<T>(target, calls);
    if (target.owners != nullptr) {
        const NoGil no_gil;
        summands.sort_by_owner(*target.owners);
    }
    return ids_and_values<T>(summands.count(), summands.dim(),
                             [&](i64* ids, T* values) { expand(summands, ids, values); });
}

template <class T>
py::tuple no_rows(i64 dim) {
    return ids_and_values<T>(0, dim, [](i64*, T*) {});
}

py::tuple expand_calls(const Table& table, const Calls& calls) {
    return in_arithmetic_of(table.view().rows,
                            [&](auto zero) { return expanded<decltype(zero)>(Target::of(table), calls); });
}

py::tuple coalesce_calls(const Table& table, const Calls& calls) {
    return in_arithmetic_of(table.view().rows,
                            [&](auto zero) { return coalesced<decltype(zero)>(Target::of(table), calls); });
}

// (ids, values, counts (ranks,)): ids that are places become local rows, of which each rank has so many.
py::tuple by_owner(const BoundOwners& of, py::tuple ids_and_values) {
    const auto ids = ids_and_values[0].cast<py::array_t<i64>>();
    py::array_t<i64> counts(of.owners.ranks());
    std::fill_n(counts.mutable_data(), of.owners.ranks(), i64{0});
    i64* const rows = const_cast<i64*>(ids.data());
    i64* const count_of_rank = counts.mutable_data();
    for (i64 i = 0; i < ids.size(); ++i) {
        const u64 place = static_cast<u64>(rows[i]);
        ++count_of_rank[of.owners.owner_of_place(place)];
        rows[i] = of.owners.local_row(place);
    }
    return py::make_tuple(ids_and_values[0], ids_and_values[1], std::move(counts));
}

// find returns ids that are places, and values, in the arithmetic of the number that it is given.
template <class Find>
py::tuple found_by_owner(const BoundOwners& of, const Calls& calls, const std::string& dtype, i64 dim,
                         Find find) {
    py::tuple found;
    for (const BoundCall* call : calls) call->check_dim(dim);
    with_arithmetic(dtype,
                    [&](auto zero) { found = calls.empty() ? no_rows<decltype(zero)>(dim) : find(zero); });
    return by_owner(of, std::move(found));
}

// With each row once, sorted by owner and then by row.
py::tuple coalesce_by_owner(const BoundOwners& of, const Calls& calls, const std::string& dtype, i64 dim) {
    return found_by_owner(of, calls, dtype, dim,
                          [&](auto zero) { return coalesced<decltype(zero)>(Target::of(of), calls); });
}

// With each summand, sorted by owner, in order of position.
py::tuple expand_by_owner(const BoundOwners& of, const Calls& calls, const std::string& dtype, i64 dim) {
    return found_by_owner(of, calls, dtype, dim,
                          [&](auto zero) { return expanded<decltype(zero)>(Target::of(of), calls); });
}

py::tuple coalesce_rows(const BoundCall& call, i64 rows) {
    return call.in_arithmetic(
        [&](auto zero) { return coalesced<decltype(zero)>(Target::of(rows), {&call}); });
}

// dst (+)= the gradient of the calls, of which nothing is written before all ids are known good.
template <class T>
void sum_into(const Target& target, const Calls& calls, bool adds, bool atomic, Rows<T> dst) {
    Summands<T> summands = collect<T>(target, calls);
    if (atomic) {
        const NoGil no_gil;
        adds ? add_gradient_atomically(summands, dst) : write_gradient_atomically(summands, dst);
    } else {
        const auto segments = sort(std::move(summands));
        const NoGil no_gil;
        adds ? add_gradient(*segments, dst) : write_gradient(*segments, dst);
    }
}

// Returns out (V, D) = the gradient, zeros elsewhere, or a new array.
py::array to_dense(const Table& table, const Calls& calls, py::handle out, const std::string& method) {
    const TableView view = table.view();
    const Shape shape{view.policy.rows, view.dim()};
    return in_arithmetic_of(view.rows, [&](auto zero) -> py::array {
        using T = decltype(zero);
        const auto sum = [&](bool adds, Rows<T> dst) {
            sum_into(Target{&table, view.policy}, calls, adds, method == "atomic", dst);
        };
        const auto bytes = static_cast<std::size_t>(view.policy.rows * view.dim()) * sizeof(T);
        if (out.is_none() && !Buffer::is_kept(bytes)) {  // new pages, which are zeros until they are touched
            const auto made = output_rows<T>(zeros(shape, Element<T>::name, false), "out", shape);
            sum(true, made.rows);
            return made.array;
        }
        const auto output = out.is_none() ? new_rows<T>(shape) : output_rows<T>(out, "out", shape);
        refuse_overlap(output.array, "out", array_of(view.storage), "the table");
        for (const BoundCall* call : calls) call->refuse_overlap_with(output.array, "out");
        sum(false, output.rows);
        return output.array;
    });
}

BoundCall plain_call(py::handle ids_object, py::handle rows, i64 dim, const std::string& dtype,
                     const std::string& name) {
    IdsArgument ids = ids_argument(ids_object);
    BagsArgument bags = each_alone(ids);
    return BoundCall(std::move(ids), std::move(bags), false, Pooling::sum, rows, name, py::none(), dim, dtype,
                     false, Dropout{});
}

void scatter_add(py::handle dst_object, py::handle ids, py::handle rows, const std::string& method) {
    std::visit(
        [&](auto dst) {
            using T = ElementOf<decltype(dst)>;
            const BoundCall call = plain_call(ids, rows, dst.dim, Element<T>::name, "rows");
            call.refuse_overlap_with(py::reinterpret_borrow<py::array>(dst_object), "dst");
            sum_into(Target::of(dst.rows), {&call}, true, method == "atomic", dst);
        },
        matrix_argument(dst_object, "dst", true));
}

}  // namespace

void bind_gradient(py::module_& module) {
    py::class_<BoundCall>(module, "BackwardCall")
        .def(py::init(&plain_call), py::arg("ids"), py::arg("rows"), py::arg("dim"), py::arg("dtype"),
             py::arg("gradient_name") = "grad_output")
        .def("scaled", &BoundCall::scaled, py::arg("factor"))
        .def("with_ids", &BoundCall::with_ids, py::arg("ids"));

    module.def("expand", expand_calls, py::arg("table"), py::arg("calls"));
    module.def("coalesce", coalesce_calls, py::arg("table"), py::arg("calls"));
    module.def("to_dense", to_dense, py::arg("table"), py::arg("calls"), py::arg("out"), py::arg("method"));
    module.def("coalesce_by_owner", coalesce_by_owner, py::arg("owners"), py::arg("calls"), py::arg("dtype"),
               py::arg("dim"));
    module.def("expand_by_owner", expand_by_owner, py::arg("owners"), py::arg("calls"), py::arg("dtype"),
               py::arg("dim"));
    module.def("coalesce_rows", coalesce_rows, py::arg("call"), py::arg("rows"));
    module.def("scatter_add", scatter_add, py::arg("dst"), py::arg("ids"), py::arg("rows"),
               py::arg("method"));
}

}  // namespace pyembed
