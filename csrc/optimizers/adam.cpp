#include "optimizers/adam.h"

#include <algorithm>
#include <cmath>

#include "element/element.h"
#include "optimizers/state.h"

namespace pyembed {
namespace {

// By squaring: unlike a library's power, whose last bits depend on the processor, this is the same
// everywhere.
double power(double base, i64 exponent) {
    double power = 1.0;
    for (; exponent > 0; exponent >>= 1) {
        if ((exponent & 1) != 0) power *= base;
        base *= base;
    }
    return power;
}

}  // namespace

double Adam::bias_correction(i64 t) const {
    return std::sqrt(1.0 - power(beta_2, t)) / (1.0 - power(beta_1, t));
}

// The corrections at 1 … t, or at fewer: from where they no longer differ from 1, the last stands for all.
void Adam::reserve(Table&, State& state, i64 t) const {
    if (state.row_steps == nullptr) return;
    const double slowest = std::max(beta_1, beta_2);
    const i64 horizon =
        slowest == 0.0 ? 1 : static_cast<i64>(std::ceil(-54.0 * std::log(2.0) / std::log(slowest)));
    const i64 have = static_cast<i64>(state.corrections.size());
    if (have >= std::min(t, horizon)) return;
    const i64 enough = std::min(horizon, std::max(t, 2 * have));
    state.corrections.reserve(static_cast<std::size_t>(enough));
    for (i64 step = have + 1; step <= enough; ++step) state.corrections.push_back(bias_correction(step));
}

template <class T>
Adam::Update<T> Adam::at(const StepNumbers& step, Table&, State& state) const {
    return {{},
            step.learning_rate,
            bias_correction(step.t),
            static_cast<T>(step.decay),
            static_cast<T>(1.0 - beta_1),
            static_cast<T>(1.0 - beta_2),
            static_cast<T>(epsilon),
            state.row_steps,
            state.corrections.data(),
            static_cast<i64>(state.corrections.size())};
}

#define PYEMBED_ADAM(T) template Adam::Update<T> Adam::at(const StepNumbers&, Table&, State&) const;
PYEMBED_FOR_ARITHMETIC(PYEMBED_ADAM)

}  // namespace pyembed
