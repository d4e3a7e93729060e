// One optimizer's step: its numbers, in the table's dtype, and its kernel.
#include "gradient.h"

namespace pyembed {
namespace {

template <class Plan>
using ElementOf = typename std::decay_t<Plan>::Element;

void step_sgd(const SortedGradient& gradient, double learning_rate, double decay) {
    gradient.step([&](const auto& plan) {
        using T = ElementOf<decltype(plan)>;
        const Sgd<T> rule{static_cast<T>(learning_rate), static_cast<T>(decay)};
        gradient.apply(plan, kernels<T>().sgd, rule, Rows<T>{});
    });
}

void step_momentum(const SortedGradient& gradient, py::handle state, double learning_rate, double decay,
                   double momentum, bool nesterov) {
    gradient.step([&](const auto& plan) {
        using T = ElementOf<decltype(plan)>;
        const Momentum<T> rule{static_cast<T>(learning_rate), static_cast<T>(decay), static_cast<T>(momentum),
                               nesterov};
        gradient.apply(plan, kernels<T>().momentum, rule, gradient.state_rows<T>(state, 1, plan.dim()));
    });
}

void step_adagrad(const SortedGradient& gradient, py::handle state, double learning_rate, double decay,
                  double epsilon) {
    gradient.step([&](const auto& plan) {
        using T = ElementOf<decltype(plan)>;
        const Adagrad<T> rule{static_cast<T>(learning_rate), static_cast<T>(decay), static_cast<T>(epsilon)};
        gradient.apply(plan, kernels<T>().adagrad, rule, gradient.state_rows<T>(state, 1, plan.dim()));
    });
}

void step_row_wise_adagrad(const SortedGradient& gradient, py::handle state, double learning_rate,
                           double decay, double epsilon) {
    gradient.step([&](const auto& plan) {
        using T = ElementOf<decltype(plan)>;
        const RowWiseAdagrad<T> rule{static_cast<T>(learning_rate), static_cast<T>(decay),
                                     static_cast<T>(epsilon)};
        gradient.apply(plan, kernels<T>().row_wise_adagrad, rule, gradient.state_rows<T>(state, 1, 1));
    });
}

void step_rms_prop(const SortedGradient& gradient, py::handle state, double learning_rate, double decay,
                   double rho, double epsilon, double epsilon_outside) {
    gradient.step([&](const auto& plan) {
        using T = ElementOf<decltype(plan)>;
        const RmsProp<T> rule{static_cast<T>(learning_rate), static_cast<T>(decay),
                              static_cast<T>(rho),           static_cast<T>(1.0 - rho),
                              static_cast<T>(epsilon),       static_cast<T>(epsilon_outside)};
        gradient.apply(plan, kernels<T>().rms_prop, rule, gradient.state_rows<T>(state, 1, plan.dim()));
    });
}

void step_adam(const SortedGradient& gradient, py::handle state, double learning_rate, double decay,
               double beta_1, double beta_2, double epsilon,
               const py::array_t<double, py::array::c_style>& corrections,
               std::optional<py::array_t<i64, py::array::c_style>> row_steps) {
    gradient.step([&](const auto& plan) {
        using T = ElementOf<decltype(plan)>;
        if (corrections.size() == 0) throw py::value_error("corrections is empty");
        if (row_steps && row_steps->size() != gradient.table_rows())
            throw py::value_error("row_steps must have one element for each row of the table");
        const Adam<T> rule{learning_rate,
                           static_cast<T>(decay),
                           static_cast<T>(1.0 - beta_1),
                           static_cast<T>(1.0 - beta_2),
                           static_cast<T>(epsilon),
                           corrections.data(),
                           corrections.size(),
                           row_steps ? row_steps->mutable_data() : nullptr};
        gradient.apply(plan, kernels<T>().adam, rule, gradient.state_rows<T>(state, 2, plan.dim()));
    });
}

void step_exact_adam(const SortedGradient& gradient, double learning_rate, double decay, double beta_1,
                     double beta_2, double epsilon, double correction) {
    gradient.step([&](const auto& plan) {
        using T = ElementOf<decltype(plan)>;
        const Adam<T> rule{learning_rate,
                           static_cast<T>(decay),
                           static_cast<T>(1.0 - beta_1),
                           static_cast<T>(1.0 - beta_2),
                           static_cast<T>(epsilon),
                           &correction,
                           1,
                           nullptr};
        gradient.apply_exact(plan, rule, decay);
    });
}

}  // namespace

void bind_steps(py::class_<SortedGradient>& gradient) {
    gradient.def("step_sgd", step_sgd, py::arg("learning_rate"), py::arg("decay"))
        .def("step_momentum", step_momentum, py::arg("state"), py::arg("learning_rate"), py::arg("decay"),
             py::arg("momentum"), py::arg("nesterov"))
        .def("step_adagrad", step_adagrad, py::arg("state"), py::arg("learning_rate"), py::arg("decay"),
             py::arg("epsilon"))
        .def("step_row_wise_adagrad", step_row_wise_adagrad, py::arg("state"), py::arg("learning_rate"),
             py::arg("decay"), py::arg("epsilon"))
        .def("step_rms_prop", step_rms_prop, py::arg("state"), py::arg("learning_rate"), py::arg("decay"),
             py::arg("rho"), py::arg("epsilon"), py::arg("epsilon_outside") = 0.0)
        .def("step_adam", step_adam, py::arg("state"), py::arg("learning_rate"), py::arg("decay"),
             py::arg("beta_1"), py::arg("beta_2"), py::arg("epsilon"), py::arg("corrections"),
             py::arg("row_steps").noconvert() = py::none())
        .def("step_exact_adam", step_exact_adam, py::arg("learning_rate"), py::arg("decay"),
             py::arg("beta_1"), py::arg("beta_2"), py::arg("epsilon"), py::arg("correction"));
}

}  // namespace pyembed
