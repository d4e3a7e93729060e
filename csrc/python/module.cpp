#include <cstdlib>

#include "base/buffer.h"
#include "base/fork.h"
#include "base/threads.h"
#include "python/arguments.h"
#include "python/bind.h"
#include "python/no_gil.h"
#include "simd/instruction_set.h"
#include "table/fill.h"

namespace pyembed {
namespace {

template <class Fill>
void fill(py::handle array, Fill fill_rows) {
    std::visit(
        [&](auto rows) {
            const NoGil no_gil;
            fill_rows(rows);
        },
        matrix_argument(array, "array", true));
}

const char* build_name() {
#if defined(__clang__)
    return "clang " __clang_version__;
#elif defined(__GNUC__)
    return "gcc " __VERSION__;
#else
    return "msvc";
#endif
}

constexpr bool has_openmp =
#if defined(_OPENMP)
    true;
#else
    false;
#endif

py::dict config() {
    using namespace py::literals;
    return py::dict("threads"_a = max_threads(), "openmp"_a = has_openmp, "forked"_a = is_forked_child(),
                    "isa"_a = instruction_set(), "isa_available"_a = instruction_sets(),
                    "compiler"_a = build_name());
}

}  // namespace
}  // namespace pyembed

PYBIND11_MODULE(_core_of_the_main_interpreter, module, pybind11::mod_gil_not_used()) {
    using namespace pyembed;
    const char* const wanted = std::getenv("PYEMBED_ISA");
    try {
        choose_instruction_set(wanted != nullptr ? wanted : "");
    } catch (const std::invalid_argument& error) {
        throw py::import_error(error.what());
    }

    module.attr("__version__") = PYEMBED_VERSION;
    const auto names = [](const auto& all) {
        return py::tuple(py::cast(std::vector<std::string>(std::begin(all), std::end(all))));
    };
#define PYEMBED_NAME(E) Element<E>::name,
    const char* const elements[] = {PYEMBED_FOR_ELEMENTS(PYEMBED_NAME)};
#undef PYEMBED_NAME
    module.attr("elements") = names(elements);
    module.attr("modes") = names(pooling_names);
    std::vector<std::string> selecting;
    for (const char* mode : pooling_names)
        if (selects(pooling_argument(mode))) selecting.emplace_back(mode);
    module.attr("selecting_modes") = names(selecting);
    module.attr("policies") = names(out_of_range_names);
    bind_call_apart(module);
    bind_table(module);
    bind_lookup(module);
    bind_keys(module);
    bind_owners(module);
    bind_gradient(module);
    bind_optimizers(module);
    bind_nearest(module);
    bind_words(module);
    bind_word2vec(module);

    module.def("zeros", zeros, py::arg("shape"), py::arg("dtype"), py::arg("promised") = false);
    module.def(
        "fill_uniform",
        [](py::handle array, u64 seed, i64 first_row, i64 row_step, double low, double high) {
            fill(array, [=](auto rows) { fill_uniform(rows, seed, {first_row, row_step}, low, high); });
        },
        py::arg("array"), py::arg("seed"), py::arg("first_row"), py::arg("row_step"), py::arg("low"),
        py::arg("high"));
    module.def(
        "fill_normal",
        [](py::handle array, u64 seed, i64 first_row, i64 row_step, double mean, double stddev) {
            fill(array, [=](auto rows) { fill_normal(rows, seed, {first_row, row_step}, mean, stddev); });
        },
        py::arg("array"), py::arg("seed"), py::arg("first_row"), py::arg("row_step"), py::arg("mean"),
        py::arg("stddev"));
    module.def(
        "fill_truncated_normal",
        [](py::handle array, u64 seed, i64 first_row, i64 row_step, double mean, double stddev) {
            fill(array,
                 [=](auto rows) { fill_truncated_normal(rows, seed, {first_row, row_step}, mean, stddev); });
        },
        py::arg("array"), py::arg("seed"), py::arg("first_row"), py::arg("row_step"), py::arg("mean"),
        py::arg("stddev"));

    module.def("set_num_threads", set_max_threads, py::arg("n"));
    module.def("get_num_threads", max_threads);
    module.def("follow_num_threads", follow_max_threads, py::arg("n"));
    module.def("config", config);
    module.def("release_memory", release_memory);
    py::module_::import("atexit").attr("register")(py::cpp_function(await_returns));
}

// Python's entry. In a subinterpreter, all that pybind11 does begins by waiting for a GIL that never comes.
extern "C" PYBIND11_EXPORT PyObject* PyInit__core() {
    if (PyInterpreterState_Get() == PyInterpreterState_Main()) return PyInit__core_of_the_main_interpreter();
    PyErr_SetString(PyExc_ImportError,
                    "pyembed works in the main interpreter of a process alone, not in subinterpreters");
    return nullptr;
}
