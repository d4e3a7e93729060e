#include "python/backward_call.h"

#include <algorithm>
#include <limits>

#include "lookup/lookup.h"
#include "python/no_gil.h"
#include "table/table.h"

namespace pyembed {

BoundCall::BoundCall(IdsArgument ids, BagsArgument bags, bool pooled, Pooling pooling, py::handle gradient,
                     const std::string& gradient_name, py::handle weights, i64 dim, const std::string& dtype,
                     bool by_frequency, const Dropout& dropout)
    : ids_(std::move(ids)),
      bags_(std::make_shared<const BagsArgument>(std::move(bags))),
      gradient_name_(gradient_name) {
    Shape shape = pooled ? Shape{bags_->bags.count} : ids_.shape();
    shape.push_back(dim);
    with_arithmetic(dtype, [&](auto zero) {
        using T = decltype(zero);
        auto rows = input_rows<T>(gradient, gradient_name_.c_str(), shape);
        auto per_sample = weights_argument<T>(weights, "per_sample_weights", ids_, pooling);
        gradient_ = std::move(rows.array);
        weights_ = std::move(per_sample.array);
        call_ = BackwardCall<T>{ids_.ids, bags_->bags,     pooling,      per_sample.data, rows.rows,
                                nullptr,  dropout.scale(), by_frequency, dropout,         nullptr};
    });
}

template <class T>
BoundCall::BoundCall(IdsArgument ids, PlacedRows<T> rows, i64 dim, const std::vector<const BoundCall*>& of)
    : ids_(std::move(ids)),
      bags_(std::make_shared<const BagsArgument>(each_alone(ids_))),
      gradient_name_("grad_output"),
      gradient_(py::none()),
      weights_(py::none()) {
    for (const BoundCall* call : of) borrowed_.push_back(*call);
    const auto placed = std::make_shared<const PlacedRows<T>>(std::move(rows));
    call_ = BackwardCall<T>{
        ids_.ids,         bags_->bags, Pooling::sum, nullptr, {nullptr, placed->count(), dim, dim},
        placed->places(), 1.0,         false,        {},      nullptr};
    placed_ = placed;
}
#define PYEMBED_PLACED_CALL(T) \
    template BoundCall::BoundCall(IdsArgument, PlacedRows<T>, i64, const std::vector<const BoundCall*>&);
PYEMBED_FOR_ARITHMETIC(PYEMBED_PLACED_CALL)

void BoundCall::find_winners(const Table& table) {
    const TableView view = table.view();
    const auto find = [&](auto rows) {
        using E = ElementOf<decltype(rows)>;
        using T = Compute<E>;
        auto& call = std::get<BackwardCall<T>>(call_);
        const Bags& bags = call.bags;
        if (bags.longest() > std::numeric_limits<Position<T>>::max())
            throw py::value_error("a bag has more ids than max pooling can count in this dtype");
        Buffer winners = Buffer::of<Position<T>>(bags.count * rows.dim);
        std::optional<BadId> bad;
        {
            const NoGil no_gil;
            const Buffer maxima = Buffer::of<T>(bags.count * rows.dim);
            const TableLock::Shared shared(table.lock());
            bad = gather_bag<E>(table.live_rows<E>(), call.ids, view.policy, bags, call.pooling, nullptr,
                                {maxima.as<T>(), bags.count, rows.dim, rows.dim},
                                winners.template as<Position<T>>());
        }
        if (bad) raise_bad_id(*bad, ids_shape(), view.policy.rows);
        winners_ = std::make_shared<const Buffer>(std::move(winners));
        call.winners = winners_->as<Position<T>>();
    };
    std::visit(find, view.rows);
}

BoundCall BoundCall::scaled(double factor) const {
    BoundCall copy(*this);
    std::visit([factor](auto& call) { call.scale *= factor; }, copy.call_);
    return copy;
}

bool BoundCall::reads(const Written& written) const {
    return written.overlaps(gradient_) || written.overlaps(ids_.array) || written.overlaps(weights_) ||
           borrows(written);
}

bool BoundCall::borrows(const Written& written) const {
    return std::any_of(borrowed_.begin(), borrowed_.end(), [&](const BoundCall& call) {
        return written.overlaps(call.gradient_) || call.borrows(written);
    });
}

BoundCall BoundCall::apart_from(const Written& written) const {
    BoundCall apart(*this);
    std::visit(
        [&](auto& call) {
            using T = typename std::decay_t<decltype(call)>::Number;
            if (written.overlaps(ids_.array)) {
                apart.ids_ = ids_argument(ids_.array.attr("copy")());
                call.ids = apart.ids_.ids;
            }
            if (written.overlaps(gradient_)) {
                const auto rows = input_rows<T>(gradient_.attr("copy")(), "",
                                                shape_of(py::reinterpret_borrow<py::array>(gradient_)));
                apart.gradient_ = rows.array;
                call.gradient = rows.rows;
            }
            if (borrows(written)) {
                const i64 dim = call.gradient.dim;
                const auto rows = new_rows<T>({call.gradient.rows, dim});
                for (i64 i = 0; i < call.gradient.rows; ++i) std::copy_n(call.row(i), dim, rows.rows.row(i));
                apart.gradient_ = rows.array;
                apart.borrowed_.clear();
                call.gradient = read_only(rows.rows);
                call.places = nullptr;
            }
            if (written.overlaps(weights_)) {
                const auto weights = weights_argument<T>(weights_.attr("copy")(), "", ids_, Pooling::sum);
                apart.weights_ = weights.array;
                call.weights = weights.data;
            }
        },
        apart.call_);
    return apart;
}

BoundCall BoundCall::with_ids(py::handle object) const {
    BoundCall copy(*this);
    copy.ids_ = ids_argument(object);
    if (copy.ids_.shape() != ids_.shape())
        throw py::value_error("ids have shape " + shape_text(copy.ids_.shape()) + ", but must have shape " +
                              shape_text(ids_.shape()));
    std::visit([&](auto& call) { call.ids = copy.ids_.ids; }, copy.call_);
    return copy;
}

void BoundCall::check_dim(i64 dim) const {
    const i64 found = std::visit([](const auto& call) { return call.gradient.dim; }, call_);
    if (found != dim)
        throw py::value_error(gradient_name_ + " has rows of " + std::to_string(found) +
                              " elements, but those of the table have " + std::to_string(dim));
}

void BoundCall::refuse_overlap_with(const py::array& written, const char* name) const {
    refuse_overlap(written, name, gradient_, gradient_name_.c_str());
    refuse_overlap(written, name, ids_.array, "ids");
    refuse_overlap(written, name, weights_, "per_sample_weights");
    for (const BoundCall& call : borrowed_) call.refuse_overlap_with(written, name);
}

}  // namespace pyembed
