// Indexes of keys: their lock, and arrays for what they tell.
#include <algorithm>

#include "keys/integer_index.h"
#include "python/bind.h"
#include "python/locked.h"
#include "python/texts.h"

namespace pyembed {
namespace {

[[noreturn]] void raise_unfit(const BadId& bad, const Shape& shape, const IntegerIndex& index) {
    const char* const dtype = index.is_unsigned() ? "uint64" : "int64";
    const std::string key =
        bad.is_unsigned ? std::to_string(bad.bits) : std::to_string(static_cast<i64>(bad.bits));
    throw py::value_error("key " + key + " at position " + std::to_string(bad.position) +
                          " of an array of shape " + shape_text(shape) + " is no " + dtype +
                          ", as the keys are");
}

using Integers = Locked<IntegerIndex>;
py::array_t<i64> rows_of_shape(const Shape& shape) {
    return py::array_t<i64>(shape);
}

std::unique_ptr<Integers> make_integers(const std::string& dtype) {
    if (dtype != "int64" && dtype != "uint64")
        throw py::value_error("dtype='" + dtype + "' is none of 'int64', 'uint64'");
    return std::make_unique<Integers>(dtype == "uint64");
}

py::array find_integers(const Integers& keys, py::handle object) {
    const IdsArgument ids = ids_argument(object, "keys");
    py::array_t<i64> rows = rows_of_shape(ids.shape());
    i64* const out = rows.mutable_data();
    keys.reading([&](const IntegerIndex& index) { index.find(ids.ids, out); });
    return rows;
}

py::array insert_integers(Integers& keys, py::handle object) {
    const IdsArgument ids = ids_argument(object, "keys");
    if (const auto unfit = keys.index.find_unfit(ids.ids)) raise_unfit(*unfit, ids.shape(), keys.index);
    py::array_t<i64> rows = rows_of_shape(ids.shape());
    i64* const out = rows.mutable_data();
    keys.writing([&](IntegerIndex& index) { index.insert(ids.ids, out); });
    return rows;
}

py::array integers_by_row(const Integers& keys) {
    // Rows are added alone: those of one moment are there in the next.
    const i64 size = keys.reading([](const IntegerIndex& index) { return index.size(); });
    py::array made(py::dtype(keys.index.is_unsigned() ? "uint64" : "int64"), Shape{size});
    u64* const out = static_cast<u64*>(made.mutable_data());
    keys.reading([&](const IntegerIndex& index) { index.keys(out, size); });
    return made;
}

py::array find_strings(const Strings& keys, py::handle object) {
    const TextsArgument texts = texts_argument(object, "words");
    py::array_t<i64> rows = rows_of_shape(texts.shape);
    i64* const out = rows.mutable_data();
    keys.reading([&](const TextIndex& index) { index.find(texts.texts(), out); });
    return rows;
}

py::array insert_strings(Strings& keys, py::handle object) {
    const TextsArgument texts = texts_argument(object, "words");
    py::array_t<i64> rows = rows_of_shape(texts.shape);
    i64* const out = rows.mutable_data();
    keys.writing([&](TextIndex& index) { index.insert(texts.texts(), out); });
    return rows;
}

py::array find_bytes(const Strings& keys, py::handle bytes, py::handle starts) {
    const BytesArgument texts = bytes_argument(bytes, starts);
    py::array_t<i64> rows = rows_of_shape({texts.texts().count});
    i64* const out = rows.mutable_data();
    keys.reading([&](const TextIndex& index) { index.find(texts.texts(), out); });
    return rows;
}

py::array insert_bytes(Strings& keys, py::handle bytes, py::handle starts) {
    const BytesArgument texts = bytes_argument(bytes, starts);
    py::array_t<i64> rows = rows_of_shape({texts.texts().count});
    i64* const out = rows.mutable_data();
    keys.writing([&](TextIndex& index) { index.insert(texts.texts(), out); });
    return rows;
}

// The texts of rows [begin, end), copied: others may add some meanwhile.
TextsArgument copy_of_rows(const Strings& keys, i64 begin, i64 end) {
    TextsArgument copy;
    keys.reading([&](const TextIndex& index) {
        const Texts all = index.texts();
        end = std::min(end, all.count);
        begin = std::min(begin, end);
        copy.bytes.assign(all.begin(begin), all.begin(end));
        copy.starts.resize(static_cast<std::size_t>(end - begin) + 1);
        for (i64 t = begin; t <= end; ++t)
            copy.starts[static_cast<std::size_t>(t - begin)] = all.starts[t] - all.starts[begin];
    });
    return copy;
}

py::list strings_of_rows(const Strings& keys, i64 begin, i64 end) {
    if (begin < 0 || end < begin) throw py::value_error("rows must ascend from 0");
    return list_of(copy_of_rows(keys, begin, end).texts());
}

py::tuple bytes_of_rows(const Strings& keys) {
    TextsArgument copy = copy_of_rows(keys, 0, PTRDIFF_MAX);
    return py::make_tuple(bytes_array(std::move(copy.bytes)), array_of(std::move(copy.starts)));
}

template <class Index>
i64 size_of(const Locked<Index>& keys) {
    return keys.reading([](const Index& index) { return index.size(); });
}

template <class Index>
std::size_t bytes_of(const Locked<Index>& keys) {
    return keys.reading([](const Index& index) { return index.bytes(); });
}

}  // namespace

void bind_keys(py::module_& module) {
    py::class_<Integers>(module, "IntegerIndex")
        .def(py::init(&make_integers), py::arg("dtype") = "int64")
        .def("find", find_integers, py::arg("keys"))
        .def("insert", insert_integers, py::arg("keys"))
        .def("keys", integers_by_row)
        .def_property_readonly("nbytes", bytes_of<IntegerIndex>)
        .def("__len__", size_of<IntegerIndex>);

    py::class_<Strings, std::shared_ptr<Strings>>(module, "StringIndex")
        .def(py::init<>())
        .def("find", find_strings, py::arg("words"))
        .def("insert", insert_strings, py::arg("words"))
        .def("find_bytes", find_bytes, py::arg("bytes"), py::arg("starts"))
        .def("insert_bytes", insert_bytes, py::arg("bytes"), py::arg("starts"))
        .def("words", strings_of_rows, py::arg("begin"), py::arg("end"))
        .def("bytes", bytes_of_rows)
        .def_property_readonly("nbytes", bytes_of<TextIndex>)
        .def("__len__", size_of<TextIndex>);
}

}  // namespace pyembed
