// What each file of bindings adds to the module.
#pragma once

#include <pybind11/pybind11.h>

namespace pyembed {

void bind_call_apart(pybind11::module_& module);
void bind_table(pybind11::module_& module);
void bind_lookup(pybind11::module_& module);
void bind_keys(pybind11::module_& module);
void bind_gradient(pybind11::module_& module);
void bind_optimizers(pybind11::module_& module);
void bind_nearest(pybind11::module_& module);
void bind_owners(pybind11::module_& module);
void bind_words(pybind11::module_& module);
void bind_word2vec(pybind11::module_& module);

}  // namespace pyembed
