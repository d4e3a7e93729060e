#include "backward_call.h"

#include <limits>
#include <memory>

namespace pyembed {

BackwardCall::BackwardCall(py::handle ids, py::handle gradient, i64 dim, const std::string& dtype,
                           py::handle offsets, py::handle weights, const std::optional<std::string>& mode,
                           bool include_last_offset, const Table* table, bool by_frequency,
                           const Dropout& dropout, const std::string& gradient_name)
    : gradient_name_(gradient_name),
      ids_(ids_argument(ids)),
      by_frequency_(by_frequency),
      dropout_(dropout),
      scale_(dropout.scale()) {
    BagsArgument bags;
    if (mode) {
        pooling_ = pooling_argument(*mode);
        bags = bags_argument(ids_, offsets, include_last_offset);
    } else {
        bags.bags = {ids_.ids.count, 1, nullptr};
    }
    bags_ = std::make_shared<const BagsArgument>(std::move(bags));
    Shape shape = mode ? Shape{bags_->bags.count} : ids_.shape();
    shape.push_back(dim);
    const auto read = [&](auto zero) {
        using T = decltype(zero);
        auto rows = input_rows<T>(gradient, gradient_name_.c_str(), shape);
        auto per_sample = weights_argument<T>(weights, "per_sample_weights", ids_, pooling_);
        gradient_array_ = std::move(rows.array);
        gradient_ = rows.rows;
        weights_array_ = std::move(per_sample.array);
        weights_ = per_sample.data;
        if (pooling_ == Pooling::max && table != nullptr) find_winners<T>(*table, dim);
    };
    if (dtype == "float32")
        read(float{});
    else
        read(double{});
}

template <class T>
void BackwardCall::find_winners(const Table& table, i64 dim) {
    const Bags& bags = bags_->bags;
    if (bags.longest() > std::numeric_limits<Position<T>>::max())
        throw py::value_error("a bag has more ids than max pooling can count in this dtype");
    const IdRule rule = table.view().rule;
    Buffer winners = Buffer::of<Position<T>>(bags.count * dim);
    std::optional<BadId> bad;
    {
        const py::gil_scoped_release no_gil;
        const Buffer maxima = Buffer::of<T>(bags.count * dim);
        const TableLock::Shared shared(table.lock());
        bad = table.readable<T>([&](const Readable<T>& rows) {
            return pyembed::gather_bag<T>(rows, ids_.ids, rule, bags, pooling_, nullptr,
                                          {maxima.as<T>(), bags.count, dim, dim}, winners.as<Position<T>>());
        });
    }
    if (bad) raise_bad_id(*bad, ids_shape(), rule.rows);
    winners_ = std::make_shared<const Buffer>(std::move(winners));
}

BackwardCall BackwardCall::scaled(double factor) const {
    BackwardCall copy(*this);
    copy.scale_ *= factor;
    return copy;
}

template <class T>
Contribution<T> BackwardCall::contribution() const {
    return {ids_.ids,
            bags_->bags,
            pooling_,
            static_cast<const T*>(weights_),
            std::get<Rows<const T>>(gradient_),
            scale_,
            by_frequency_,
            dropout_,
            winners_ ? winners_->as<Position<T>>() : nullptr};
}

void BackwardCall::check_dim(i64 dim) const {
    const i64 found = std::visit([](const auto& rows) { return rows.dim; }, gradient_);
    if (found != dim)
        throw py::value_error(gradient_name_ + " has rows of " + std::to_string(found) +
                              " elements, but those of the table have " + std::to_string(dim));
}

void BackwardCall::refuse_overlap_with(const py::array& written, const char* name) const {
    refuse_overlap(written, name, gradient_array_, gradient_name_.c_str());
    refuse_overlap(written, name, ids_.array, "ids");
    refuse_overlap(written, name, weights_array_, "per_sample_weights");
}

namespace {

template <class T>
std::vector<Contribution<T>> contributions_of(const Calls& calls) {
    std::vector<Contribution<T>> contributions;
    for (const BackwardCall* call : calls) contributions.push_back(call->contribution<T>());
    return contributions;
}

}  // namespace

template <class T>
Plan<T> make_plan(const Calls& calls, const IdRule& rule, const Table* table) {
    if (table != nullptr)
        for (const BackwardCall* call : calls) call->check_dim(table->view().shape().back());
    const auto contributions = contributions_of<T>(calls);
    Plan<T> plan;
    std::optional<BadContribution> bad;
    {
        const py::gil_scoped_release no_gil;
        const RowSet none;
        std::optional<TableLock::Shared> shared;
        if (table != nullptr) shared.emplace(table->lock());
        bad = plan.collect(contributions, rule, table != nullptr ? table->frozen() : none);
    }
    if (bad) raise_bad_id(bad->id, calls[bad->contribution]->ids_shape(), rule.rows);
    return plan;
}

template <class T>
std::unique_ptr<SortedPlan<T>> make_sorted_plan(const Calls& calls, const IdRule& rule, const Table* table) {
    Plan<T> plan = make_plan<T>(calls, rule, table);
    const py::gil_scoped_release no_gil;
    return std::make_unique<SortedPlan<T>>(std::move(plan));
}

template Plan<float> make_plan(const Calls&, const IdRule&, const Table*);
template Plan<double> make_plan(const Calls&, const IdRule&, const Table*);
template std::unique_ptr<SortedPlan<float>> make_sorted_plan(const Calls&, const IdRule&, const Table*);
template std::unique_ptr<SortedPlan<double>> make_sorted_plan(const Calls&, const IdRule&, const Table*);

}  // namespace pyembed
