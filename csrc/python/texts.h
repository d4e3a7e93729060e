// From Python's strings to texts in UTF-8, and back.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "keys/line.h"
#include "python/arguments.h"

namespace pyembed {

// Copies of strings, one after the other. Half of a surrogate pair becomes three bytes, as no valid UTF-8 has
// them, so that all strings can be told apart.
struct TextsArgument {
    std::vector<char> bytes;
    std::vector<i64> starts = {0};
    Shape shape;

    Texts texts() const { return {bytes.data(), starts.data(), static_cast<i64>(starts.size()) - 1}; }
};

// A list or tuple of str, or an array of str: fixed-width, of objects, or of NumPy's StringDType, of any
// shape. Raises TypeError for anything else, with the position of an element that is no str.
TextsArgument texts_argument(py::handle object, const char* name);

// Bytes of uint8 and starts (n + 1,) of int64: read where they lie, the starts copied as they are checked.
struct BytesArgument {
    py::array bytes;
    std::vector<i64> starts;

    Texts texts() const {
        return {static_cast<const char*>(bytes.data()), starts.data(), static_cast<i64>(starts.size()) - 1};
    }
};
BytesArgument bytes_argument(py::handle bytes, py::handle starts);

// Raises UnicodeDecodeError for a text that is no str.
py::object str_of(const char* text, i64 length);
py::list list_of(const Texts& texts);

// Arrays of what a vector has, without a copy.
template <class T>
py::array_t<T> array_of(std::vector<T>&& values) {
    auto kept = std::make_unique<std::vector<T>>(std::move(values));
    T* const data = kept->data();
    const auto size = static_cast<py::ssize_t>(kept->size());
    const py::capsule owner(kept.get(), [](void* vector) { delete static_cast<std::vector<T>*>(vector); });
    (void)kept.release();
    return py::array_t<T>(size, data, owner);
}
py::array bytes_array(std::vector<char>&& bytes);

}  // namespace pyembed
