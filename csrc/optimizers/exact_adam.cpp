#include "optimizers/exact_adam.h"

#include <stdexcept>

#include "exact_adam/history.h"
#include "optimizers/state.h"

namespace pyembed {
namespace {

// Calls use(history) with that of the table.
template <class Use>
void with_history(Table& table, Use use) {
    if (table.pending() == nullptr) throw std::invalid_argument("the table has no history: attach it first");
    table.visit_rows([&](auto rows) {
        using E = ElementOf<decltype(rows)>;
        use(static_cast<History<E>&>(*table.pending()));
    });
}

}  // namespace

void ExactAdam::attach(Table& table, State& state) const {
    const ExactAdamNumbers numbers{beta_1, beta_2, epsilon, static_cast<int>(terms),
                                   static_cast<i64>(horizon)};
    table.attach([&]() -> std::unique_ptr<Pending> {
        std::unique_ptr<Pending> made;
        table.visit_rows([&](auto rows) {
            using E = ElementOf<decltype(rows)>;
            const auto moments = std::get<Rows<Compute<E>>>(state.arrays);
            if (moments.rows != rows.rows) throw std::invalid_argument("the table grew meanwhile");
            made = std::make_unique<History<E>>(table, moments, state.storage, numbers, state.t);
        });
        return made;
    });
}

void ExactAdam::reserve(Table& table, State&, i64) const {
    with_history(table, [](auto& history) { history.reserve(); });
}

template <class T>
ExactAdam::Update<T> ExactAdam::at(const StepNumbers& step, Table& table, State& state) const {
    Update<T> update{Adam::at<T>(step, table, state), {}};
    with_history(table, [&](auto& history) {
        if constexpr (std::is_same_v<decltype(history.view()), HistoryView<T>>)
            update.history = history.view();
    });
    return update;
}

void ExactAdam::finish(Table& table, const StepNumbers& step) const {
    const double push = step.learning_rate * bias_correction(step.t);
    with_history(table, [&](auto& history) { history.advance(push, step.decay); });
}

#define PYEMBED_EXACT_ADAM(T) \
    template ExactAdam::Update<T> ExactAdam::at(const StepNumbers&, Table&, State&) const;
PYEMBED_FOR_ARITHMETIC(PYEMBED_EXACT_ADAM)

}  // namespace pyembed
