// Gradients by themselves: expanded, coalesced, or added to an array.
#include "gradient/gradient.h"

#include "gradient/placed_rows.h"
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
    static Target of(const IdPolicy& policy) { return {nullptr, policy}; }
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
    const Coalesced<T> rows(*segments, segments->view().summands.count);
    return ids_and_values<T>(rows.count(), segments->dim(),
                             [&](i64* ids, T* values) { rows.write(ids, values); });
}

// Returns f(T{}), where T is what the table's arithmetic is done in.
template <class F>
auto in_arithmetic_of(const AnyRows& rows, F f) {
    return std::visit([&](auto r) { return f(Compute<ElementOf<decltype(r)>>{}); }, rows);
}

// In order of position.
template <class T>
py::tuple expanded(const Target& target, const Calls& calls) {
    const Summands<T> summands = collect<T>(target, calls);
    return ids_and_values<T>(summands.count(), summands.dim(),
                             [&](i64* ids, T* values) { expand(summands, summands.count(), ids, values); });
}

py::tuple expand_calls(const Table& table, const Calls& calls) {
    return in_arithmetic_of(table.view().rows,
                            [&](auto zero) { return expanded<decltype(zero)>(Target::of(table), calls); });
}

py::tuple coalesce_calls(const Table& table, const Calls& calls) {
    return in_arithmetic_of(table.view().rows,
                            [&](auto zero) { return coalesced<decltype(zero)>(Target::of(table), calls); });
}

// The rows of a gradient from `first` on.
template <class T, class Gradient>
PlacedRows<T> place(const Gradient& gradient, i64 first) {
    const NoGil no_gil;
    return PlacedRows<T>(gradient, first);
}

// Counts rows, which are places, with their owners, and makes them local rows.
void deal(const Owners& owners, i64* rows, i64 n, i64* counts) {
    for (i64 i = 0; i < n; ++i) {
        const u64 place = static_cast<u64>(rows[i]);
        ++counts[owners.owner_of_place(place)];
        rows[i] = owners.local_row(place);
    }
}

// What is found of a gradient by the rows' owners: (ids, values, counts (ranks,), call). Other ranks' local
// rows and their values, and a call of what is this rank's own, which counts in `counts`, too.
template <class T, class Write>
py::tuple by_owner(const BoundOwners& of, const Calls& calls, i64 count, i64 dim, Write write,
                   PlacedRows<T> own) {
    py::array_t<i64> counts(of.owners.ranks());
    i64* const count_of_rank = counts.mutable_data();
    std::fill_n(count_of_rank, of.owners.ranks(), i64{0});
    const auto sent = ids_and_values<T>(count, dim, [&](i64* ids, T* values) {
        write(ids, values);
        deal(of.owners, ids, count, count_of_rank);
    });
    py::array own_rows = new_numbers({own.count()});
    i64* const rows = static_cast<i64*>(own_rows.mutable_data());
    std::copy_n(own.rows(), own.count(), rows);
    deal(of.owners, rows, own.count(), count_of_rank);
    return py::make_tuple(sent[0], sent[1], std::move(counts),
                          BoundCall(ids_argument(own_rows), std::move(own), dim, calls));
}

// Returns find(T{}), where T is the arithmetic of that dtype; throws where a call has rows of another length.
template <class Find>
py::tuple found_in(const std::string& dtype, const Calls& calls, i64 dim, Find find) {
    py::tuple found;
    for (const BoundCall* call : calls) call->check_dim(dim);
    with_arithmetic(dtype, [&](auto zero) { found = find(zero); });
    return found;
}

// Those of ids that a lookup has sorted need not be sorted again.
template <class T>
Summands<T> collect_by_owner(const BoundOwners& of, const Calls& calls) {
    if (calls.size() != 1 || !calls[0]->get<T>().is_plain()) return collect<T>(Target::of(of), calls);
    const BackwardCall<T>& call = calls[0]->get<T>();
    const auto known = of.sorted(call.ids);
    if (!known) return collect<T>(Target::of(of), calls);
    const NoGil no_gil;
    Summands<T> summands;
    summands.take(call, known->parts(), of.owners, of.policy.padding);
    return summands;
}

// With each row once, sorted by owner and then by row.
py::tuple coalesce_by_owner(const BoundOwners& of, const Calls& calls, const std::string& dtype, i64 dim) {
    return found_in(dtype, calls, dim, [&](auto zero) {
        using T = decltype(zero);
        const auto segments = sort(collect_by_owner<T>(of, calls));
        const i64 first = segments->view().summands.first_of(of.owners.own_begin());
        const Coalesced<T> sent(*segments, first);
        const auto write = [&](i64* ids, T* values) { sent.write(ids, values); };
        return by_owner<T>(of, calls, sent.count(), dim, write, place<T>(*segments, first));
    });
}

// With each summand, sorted by owner, in order of position.
py::tuple expand_by_owner(const BoundOwners& of, const Calls& calls, const std::string& dtype, i64 dim) {
    return found_in(dtype, calls, dim, [&](auto zero) {
        using T = decltype(zero);
        Summands<T> summands = collect<T>(Target::of(of), calls);
        {
            const NoGil no_gil;
            summands.sort_by_owner(of.owners);
        }
        const i64 first = summands.view().first_of(of.owners.own_begin());
        const auto write = [&](i64* ids, T* values) { expand(summands, first, ids, values); };
        return by_owner<T>(of, calls, first, dim, write, place<T>(summands, first));
    });
}

// Of a table whose rows are elsewhere, in the order of the rows, or of position.
py::tuple coalesce_elsewhere(const BoundOwners& of, const Calls& calls, const std::string& dtype, i64 dim) {
    return found_in(dtype, calls, dim,
                    [&](auto zero) { return coalesced<decltype(zero)>(Target::of(of.policy), calls); });
}
py::tuple expand_elsewhere(const BoundOwners& of, const Calls& calls, const std::string& dtype, i64 dim) {
    return found_in(dtype, calls, dim,
                    [&](auto zero) { return expanded<decltype(zero)>(Target::of(of.policy), calls); });
}

py::tuple coalesce_rows(const BoundCall& call, i64 rows) {
    return call.in_arithmetic(
        [&](auto zero) { return coalesced<decltype(zero)>(Target::of(IdPolicy{rows}), {&call}); });
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
            sum_into(Target::of(IdPolicy{dst.rows}), {&call}, true, method == "atomic", dst);
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
    module.def("coalesce_elsewhere", coalesce_elsewhere, py::arg("owners"), py::arg("calls"),
               py::arg("dtype"), py::arg("dim"));
    module.def("expand_elsewhere", expand_elsewhere, py::arg("owners"), py::arg("calls"), py::arg("dtype"),
               py::arg("dim"));
    module.def("coalesce_rows", coalesce_rows, py::arg("call"), py::arg("rows"));
    module.def("scatter_add", scatter_add, py::arg("dst"), py::arg("ids"), py::arg("rows"),
               py::arg("method"));
}

}  // namespace pyembed
