// Lookups: in a table, in one way or another, or in a plain array.
#include "lookup/lookup.h"

#include "lookup/max_norm.h"
#include "python/array_storage.h"
#include "python/backward_call.h"
#include "python/bind.h"
#include "python/no_gil.h"

namespace pyembed {
namespace {

// Where rows are read: in a table, or, where that is null, in an array.
struct Source {
    const Table* table;
    bool renormalise;
    py::array array;
    AnyRows rows;
    IdPolicy policy;

    static Source of(const Table& table, bool renormalise) {
        const TableView view = table.view();
        return {&table, renormalise, array_of(view.storage), view.rows, view.policy};
    }
    static Source of(py::handle array) {
        const AnyRows rows = matrix_argument(array, "table", false);
        return {nullptr, false, py::reinterpret_borrow<py::array>(array), rows, {count_of(rows)}};
    }

    // Returns f(live rows), called without the GIL and with the lock that they need.
    template <class E, class F>
    std::optional<BadId> read(const Ids& ids, const IdPolicy& id_policy, F f) const {
        const NoGil no_gil;
        if (table != nullptr) return read_rows<E>(*table, ids, id_policy, renormalise, f);
        return f(LiveRows<E>{read_only(std::get<Rows<E>>(rows)), nullptr});
    }
};

template <class T>
RowsArgument<T> output_or_new(py::handle out, const Shape& shape, const Source& source,
                              const IdsArgument& ids) {
    if (out.is_none()) return new_rows<T>(shape);
    auto output = output_rows<T>(out, "out", shape);
    refuse_overlap(output.array, "out", source.array, "the table");
    refuse_overlap(output.array, "out", ids.array, "ids");
    return output;
}

py::array gather_rows(const Source& source, py::handle ids_object, py::handle out, const Dropout& dropout) {
    const IdsArgument ids = ids_argument(ids_object);
    const IdPolicy policy = source.policy.without_padding();
    return std::visit(
        [&](auto rows) -> py::array {
            using E = ElementOf<decltype(rows)>;
            Shape shape = ids.shape();
            shape.push_back(rows.dim);
            const auto output = output_or_new<Compute<E>>(out, shape, source, ids);
            const auto bad = source.read<E>(ids.ids, policy, [&](const LiveRows<E>& live) {
                return gather<E>(live, ids.ids, policy, dropout, output.rows);
            });
            if (bad) raise_bad_id(*bad, ids.shape(), policy.rows);
            return output.array;
        },
        source.rows);
}

// How ids are bags, and the bags a row each.
struct Pooled {
    Pooling pooling;
    bool include_last_offset;
};

py::array gather_bags(const Source& source, const Pooled& how, py::handle ids_object, py::handle offsets,
                      py::handle weights_object, const char* weights_name, py::handle out) {
    const IdsArgument ids = ids_argument(ids_object);
    const BagsArgument bags = bags_argument(ids, offsets, how.include_last_offset);
    return std::visit(
        [&](auto rows) -> py::array {
            using E = ElementOf<decltype(rows)>;
            using T = Compute<E>;
            const auto weights = weights_argument<T>(weights_object, weights_name, ids, how.pooling);
            const auto output = output_or_new<T>(out, {bags.bags.count, rows.dim}, source, ids);
            refuse_overlap(output.array, "out", weights.array, weights_name);
            const auto bad = source.read<E>(ids.ids, source.policy, [&](const LiveRows<E>& live) {
                return gather_bag<E>(live, ids.ids, source.policy, bags.bags, how.pooling, weights.data,
                                     output.rows);
            });
            if (bad) raise_bad_id(*bad, ids.shape(), source.policy.rows);
            return output.array;
        },
        source.rows);
}

py::array weight_gradient_of_bags(const Source& source, const Pooled& how, py::handle ids_object,
                                  py::handle gradient, py::handle offsets, py::handle weights_object) {
    const IdsArgument ids = ids_argument(ids_object);
    const BagsArgument bags = bags_argument(ids, offsets, how.include_last_offset);
    return std::visit(
        [&](auto rows) -> py::array {
            using E = ElementOf<decltype(rows)>;
            using T = Compute<E>;
            const auto weights = weights_argument<T>(weights_object, "per_sample_weights", ids, how.pooling);
            const auto upstream = input_rows<T>(gradient, "grad_output", {bags.bags.count, rows.dim});
            py::array_t<T> out(ids.shape());
            T* const to = out.mutable_data();
            const auto bad = source.read<E>(ids.ids, source.policy, [&](const LiveRows<E>& live) {
                return weight_gradient<E>(live, ids.ids, source.policy, bags.bags, how.pooling, weights.data,
                                          upstream.rows, to);
            });
            if (bad) raise_bad_id(*bad, ids.shape(), source.policy.rows);
            return out;
        },
        source.rows);
}

// One way to look a table up.
class Lookup {
  public:
    Lookup(py::object table, const std::optional<std::string>& mode, bool include_last_offset,
           bool by_frequency)
        : table_object_(std::move(table)),
          table_(table_object_.cast<const Table&>()),
          by_frequency_(by_frequency) {
        if (mode) pooled_ = Pooled{pooling_argument(*mode), include_last_offset};
    }

    const py::object& table() const { return table_object_; }
    std::optional<std::string> mode() const {
        if (!pooled_) return std::nullopt;
        return mode_name(pooled_->pooling);
    }
    bool include_last_offset() const { return pooled_ && pooled_->include_last_offset; }
    bool by_frequency() const { return by_frequency_; }

    py::array gather(py::handle ids, py::handle offsets, py::handle weights, py::handle out) const {
        return gather_from(Source::of(table_, true), ids, offsets, weights, out, {});
    }
    py::array gather_dropping(py::handle ids, double dropout, u64 key, py::handle out) const {
        return gather_from(Source::of(table_, true), ids, py::none(), py::none(), out, {dropout, key});
    }
    py::array gather_as_is(py::handle ids, py::handle offsets, py::handle weights, double dropout,
                           u64 key) const {
        return gather_from(Source::of(table_, false), ids, offsets, weights, py::none(), {dropout, key});
    }

    // Of rows of which some came from elsewhere: `positions` count those, and then the table's rows `ids`.
    py::array gather_beside(py::handle positions_object, py::handle others_object, py::handle ids_object,
                            py::handle out) const {
        const Source source = Source::of(table_, false);
        const IdsArgument positions = ids_argument(positions_object, "positions");
        const IdsArgument ids = ids_argument(ids_object);
        const AnyRows others = matrix_argument(others_object, "others", false);
        return std::visit(
            [&](auto rows) -> py::array {
                using E = ElementOf<decltype(rows)>;
                const auto* const came = std::get_if<Rows<E>>(&others);
                if (came == nullptr || came->dim != rows.dim)
                    throw py::value_error("others must be rows like those of the table");
                Shape shape = positions.shape();
                shape.push_back(rows.dim);
                const auto output = output_or_new<Compute<E>>(out, shape, source, positions);
                refuse_overlap(output.array, "out", others_object, "others");
                refuse_overlap(output.array, "out", ids.array, "ids");
                const auto bad = source.read<E>(ids.ids, source.policy, [&](const LiveRows<E>& live) {
                    return pyembed::gather_beside<E>(live, ids.ids, read_only(*came), positions.ids,
                                                     output.rows);
                });
                if (bad) raise_bad_id(*bad, ids.shape(), source.policy.rows);
                return output.array;
            },
            source.rows);
    }

    // Raise what `gather`, `call` and `weight_gradient` do, but for what ids are: for rows that are
    // elsewhere.
    void check_gather(py::handle ids_object, py::handle offsets, py::handle weights, py::handle out) const {
        const Source source = Source::of(table_, false);
        const IdsArgument ids = ids_argument(ids_object);
        if (!pooled_) refuse_bags(offsets, weights);
        const BagsArgument bags = bags_of(ids, offsets);
        std::visit(
            [&](auto rows) {
                using T = Compute<ElementOf<decltype(rows)>>;
                const auto given = weights_argument<T>(weights, "per_sample_weights", ids, pooling());
                if (out.is_none()) return;
                Shape shape = pooled_ ? Shape{bags.bags.count} : ids.shape();
                shape.push_back(rows.dim);
                const auto output = output_or_new<T>(out, shape, source, ids);
                refuse_overlap(output.array, "out", given.array, "per_sample_weights");
            },
            source.rows);
    }
    void check_call(py::handle ids, py::handle gradient, py::handle offsets, py::handle weights) const {
        (void)unselected_call(ids, gradient, offsets, weights, {});
    }
    void check_weight_gradient(py::handle ids, py::handle gradient, py::handle offsets,
                               py::handle weights) const {
        refuse_weights();
        check_call(ids, gradient, offsets, weights);
    }

    BoundCall call(py::handle ids, py::handle gradient, py::handle offsets, py::handle weights) const {
        return call_of(ids, gradient, offsets, weights, {});
    }
    BoundCall call_dropping(py::handle ids, py::handle gradient, double dropout, u64 key) const {
        return call_of(ids, gradient, py::none(), py::none(), {dropout, key});
    }

    py::array weight_gradient(py::handle ids, py::handle gradient, py::handle offsets,
                              py::handle weights) const {
        refuse_weights();
        return weight_gradient_of_bags(Source::of(table_, false), *pooled_, ids, gradient, offsets, weights);
    }

  private:
    py::array gather_from(const Source& source, py::handle ids, py::handle offsets, py::handle weights,
                          py::handle out, const Dropout& dropout) const {
        if (pooled_) return gather_bags(source, *pooled_, ids, offsets, weights, "per_sample_weights", out);
        refuse_bags(offsets, weights);
        return gather_rows(source, ids, out, dropout);
    }

    Pooling pooling() const { return pooled_ ? pooled_->pooling : Pooling::sum; }

    BagsArgument bags_of(const IdsArgument& ids, py::handle offsets) const {
        return pooled_ ? bags_argument(ids, offsets, pooled_->include_last_offset) : each_alone(ids);
    }

    BoundCall call_of(py::handle ids, py::handle gradient, py::handle offsets, py::handle weights,
                      const Dropout& dropout) const {
        BoundCall call = unselected_call(ids, gradient, offsets, weights, dropout);
        if (selects(pooling())) call.find_winners(table_);
        return call;
    }

    BoundCall unselected_call(py::handle ids_object, py::handle gradient, py::handle offsets,
                              py::handle weights, const Dropout& dropout) const {
        if (!pooled_) refuse_bags(offsets, weights);
        IdsArgument ids = ids_argument(ids_object);
        BagsArgument bags = bags_of(ids, offsets);
        const TableView view = table_.view();
        return BoundCall(std::move(ids), std::move(bags), pooled_.has_value(), pooling(), gradient,
                         "grad_output", weights, view.dim(), arithmetic_name(view.rows), by_frequency_,
                         dropout);
    }

    void refuse_weights() const {
        if (!pooled_) throw py::value_error("a lookup without bags takes no per_sample_weights");
        if (selects(pooling()))
            throw py::value_error("mode='" + mode_name(pooling()) + "' takes no per_sample_weights");
    }

    static void refuse_bags(py::handle offsets, py::handle weights) {
        if (!offsets.is_none() || !weights.is_none())
            throw py::value_error("a lookup without bags takes no offsets and no per_sample_weights");
    }

    py::object table_object_;  // with what Python added to it
    const Table& table_;
    std::optional<Pooled> pooled_;
    bool by_frequency_;
};

// Lets Python's collector see the table, which may lead back here by objects of the user's that it holds.
// There is no tp_clear: every such cycle goes through a dictionary, and can be broken there.
void let_collect(PyHeapTypeObject* heap_type) {
    heap_type->ht_type.tp_flags |= Py_TPFLAGS_HAVE_GC;
    heap_type->ht_type.tp_traverse = [](PyObject* self, visitproc visit, void* arg) {
        Py_VISIT(Py_TYPE(self));
        if (py::detail::is_holder_constructed(self))
            Py_VISIT(py::cast<const Lookup&>(py::handle(self)).table().ptr());
        return 0;
    };
}

}  // namespace

void bind_lookup(py::module_& module) {
    py::class_<Lookup>(module, "Lookup", py::custom_type_setup(let_collect))
        .def(py::init<py::object, const std::optional<std::string>&, bool, bool>(), py::arg("table"),
             py::arg("mode") = py::none(), py::arg("include_last_offset") = false,
             py::arg("by_frequency") = false)
        .def_property_readonly("table", &Lookup::table)
        .def_property_readonly("mode", &Lookup::mode)
        .def_property_readonly("include_last_offset", &Lookup::include_last_offset)
        .def_property_readonly("by_frequency", &Lookup::by_frequency)
        // With self no more than six arguments each: pybind11 keeps so many without asking for memory.
        .def("gather", &Lookup::gather, py::arg("ids"), py::arg("offsets") = py::none(),
             py::arg("per_sample_weights") = py::none(), py::arg("out") = py::none())
        .def("gather_dropping", &Lookup::gather_dropping, py::arg("ids"), py::arg("dropout"), py::arg("key"),
             py::arg("out") = py::none())
        .def("gather_as_is", &Lookup::gather_as_is, py::arg("ids"), py::arg("offsets") = py::none(),
             py::arg("per_sample_weights") = py::none(), py::arg("dropout") = 0.0, py::arg("key") = 0)
        .def("gather_beside", &Lookup::gather_beside, py::arg("positions"), py::arg("others"), py::arg("ids"),
             py::arg("out") = py::none())
        .def("call", &Lookup::call, py::arg("ids"), py::arg("grad_output"), py::arg("offsets") = py::none(),
             py::arg("per_sample_weights") = py::none())
        .def("call_dropping", &Lookup::call_dropping, py::arg("ids"), py::arg("grad_output"),
             py::arg("dropout"), py::arg("key"))
        .def("weight_gradient", &Lookup::weight_gradient, py::arg("ids"), py::arg("grad_output"),
             py::arg("offsets") = py::none(), py::arg("per_sample_weights") = py::none())
        .def("check_gather", &Lookup::check_gather, py::arg("ids"), py::arg("offsets") = py::none(),
             py::arg("per_sample_weights") = py::none(), py::arg("out") = py::none())
        .def("check_call", &Lookup::check_call, py::arg("ids"), py::arg("grad_output"),
             py::arg("offsets") = py::none(), py::arg("per_sample_weights") = py::none())
        .def("check_weight_gradient", &Lookup::check_weight_gradient, py::arg("ids"), py::arg("grad_output"),
             py::arg("offsets") = py::none(), py::arg("per_sample_weights") = py::none());

    module.def(
        "gather",
        [](py::handle table, py::handle ids, py::handle out) {
            return gather_rows(Source::of(table), ids, out, Dropout{});
        },
        py::arg("table"), py::arg("ids"), py::arg("out") = py::none());
    module.def(
        "gather_bag",
        [](py::handle table, py::handle ids, py::handle offsets, py::handle weights, const std::string& mode,
           py::handle out) {
            const Pooled how{pooling_argument(mode), false};
            return gather_bags(Source::of(table), how, ids, offsets, weights, "weights", out);
        },
        py::arg("table"), py::arg("ids"), py::arg("offsets"), py::arg("per_sample_weights"), py::arg("mode"),
        py::arg("out") = py::none());
}

}  // namespace pyembed
