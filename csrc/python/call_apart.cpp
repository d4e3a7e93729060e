// Calls that no signal breaks off: Python runs handlers in the main thread alone, and between two of its
// own instructions.
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

#include "python/bind.h"
#include "python/no_gil.h"

namespace pyembed {
namespace {

namespace py = pybind11;

struct Outcome {
    py::object value;
    std::exception_ptr thrown;
    std::mutex mutex;
    std::condition_variable changed;
    bool is_there = false;
};

// Returns function(), called in a thread that start() begins, while this one waits and runs nothing of
// Python's. Where the system has no more threads it is called here.
py::object call_apart(const py::object& start, const py::object& function) {
    const auto outcome = std::make_shared<Outcome>();
    const py::cpp_function run([outcome, function] {
        try {
            outcome->value = function();
        } catch (...) {
            outcome->thrown = std::current_exception();
        }
        const std::lock_guard<std::mutex> guard(outcome->mutex);
        outcome->is_there = true;
        outcome->changed.notify_all();
    });
    try {
        start(run, py::tuple());
    } catch (const py::error_already_set& error) {
        if (!error.matches(PyExc_RuntimeError)) throw;
        return function();
    }
    {
        const NoGil no_gil;
        std::unique_lock<std::mutex> guard(outcome->mutex);
        outcome->changed.wait(guard, [&] { return outcome->is_there; });
    }
    if (outcome->thrown) std::rethrow_exception(std::exchange(outcome->thrown, nullptr));
    return std::move(outcome->value);
}

}  // namespace

void bind_call_apart(py::module_& module) {
    module.def("call_apart", call_apart, py::arg("start"), py::arg("function"));
}

}  // namespace pyembed
