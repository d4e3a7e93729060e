#include "python/texts.h"

#include <algorithm>
#include <cstring>

#include "keys/byte_list.h"

namespace pyembed {
namespace {

// A hint to fetch where Python's objects lie: in a long list each is a miss of the cache.
constexpr i64 objects_ahead = 12;

PYEMBED_INLINE void fetch_object(const void* object) {
#if defined(__GNUC__)
    __builtin_prefetch(object);
    __builtin_prefetch(static_cast<const char*>(object) + 48);
#else
    (void)object;
#endif
}

// Returns where the character ends.
char* put_code_point(Py_UCS4 c, char* out) {
    const auto put = [&](u32 byte) { *out++ = static_cast<char>(byte); };
    if (c < 0x80) {
        put(c);
        return out;
    }
    if (c < 0x800) {
        put(0xC0 | c >> 6);
    } else if (c < 0x10000) {
        put(0xE0 | c >> 12);
        put(0x80 | (c >> 6 & 0x3F));
    } else {
        put(0xF0 | c >> 18);
        put(0x80 | (c >> 12 & 0x3F));
        put(0x80 | (c >> 6 & 0x3F));
    }
    put(0x80 | (c & 0x3F));
    return out;
}

// code_point(i) of a string of `length`
template <class CodePoint>
void put_code_points(CodePoint code_point, i64 length, ByteList& out) {
    char* const begin = out.room(4 * static_cast<std::size_t>(length));
    char* end = begin;
    for (i64 i = 0; i < length; ++i) end = put_code_point(code_point(i), end);
    out.add(static_cast<std::size_t>(end - begin));
}

void put_str(PyObject* text, ByteList& out) {
    const Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    const void* const data = PyUnicode_DATA(text);
    if (PyUnicode_IS_COMPACT_ASCII(text))
        return out.append(static_cast<const char*>(data), static_cast<std::size_t>(length));
    const int kind = PyUnicode_KIND(text);
    put_code_points([=](i64 i) { return PyUnicode_READ(kind, data, i); }, length, out);
}

std::string position_text(i64 i, const Shape& shape) {
    if (shape.size() <= 1) return std::to_string(i);
    Shape index(shape.size());
    for (std::size_t axis = shape.size(); axis-- > 0; i /= shape[axis]) index[axis] = i % shape[axis];
    return shape_text(index);
}

// object(i) for i in [0, n), each of which must be a str
template <class ObjectAt>
void put_objects(ObjectAt object, i64 n, const char* name, ByteList& bytes, TextsArgument& out) {
    out.starts.reserve(out.starts.size() + static_cast<std::size_t>(n));
    for (i64 i = 0; i < n; ++i) {
        if (i + objects_ahead < n) fetch_object(object(i + objects_ahead));
        PyObject* const text = object(i);
        if (text == nullptr || !PyUnicode_Check(text)) {
            const auto type = py::type::handle_of(text == nullptr ? Py_None : text);
            throw py::type_error(std::string(name) + " must be strings, but the one at position " +
                                 position_text(i, out.shape) + " is " +
                                 py::str(type.attr("__name__")).cast<std::string>());
        }
        put_str(text, bytes);
        out.starts.push_back(bytes.size());
    }
}

// Items of `width` code points, padded with zeros.
void put_fixed(const char* data, i64 n, i64 width, ByteList& bytes, TextsArgument& out) {
    out.starts.reserve(out.starts.size() + static_cast<std::size_t>(n));
    for (i64 i = 0; i < n; ++i) {
        const char* const item = data + i * width * 4;
        const auto at = [item](i64 place) {
            Py_UCS4 c;
            std::memcpy(&c, item + 4 * place, 4);
            return c;
        };
        i64 length = width;
        while (length > 0 && at(length - 1) == 0) --length;
        put_code_points(at, length, bytes);
        out.starts.push_back(bytes.size());
    }
}

void put_array(const py::array& array, const char* name, ByteList& bytes, TextsArgument& out) {
    const char kind = array.dtype().kind();
    out.shape = shape_of(array);
    if (kind == 'O') {
#if defined(Py_GIL_DISABLED)
        const py::tuple held(array.attr("ravel")().attr("tolist")());  // nobody changes it
        PyObject* const* const data = PySequence_Fast_ITEMS(held.ptr());
#else
        auto* const* const data = static_cast<PyObject* const*>(array.data());
#endif
        put_objects([data](i64 i) { return data[i]; }, array.size(), name, bytes, out);
    } else if (kind == 'U') {
        put_fixed(static_cast<const char*>(array.data()), array.size(), array.itemsize() / 4, bytes, out);
    } else {
        throw py::type_error(std::string(name) + " must be strings, not an array of dtype " +
                             py::str(array.dtype()).cast<std::string>());
    }
}

}  // namespace

TextsArgument texts_argument(py::handle object, const char* name) {
    TextsArgument out;
    ByteList bytes;
    if (py::isinstance<py::array>(object)) {
        // Native and in C order; those of NumPy's StringDType come by pieces of a fixed width, see there.
        const py::object parts = py::module_::import("pyembed._texts").attr("plain")(object, name);
        const Shape shape = shape_of(py::reinterpret_borrow<py::array>(object));
        for (const py::handle part : parts)
            put_array(py::reinterpret_borrow<py::array>(part), name, bytes, out);
        out.shape = shape;
        out.bytes = bytes.take();
        return out;
    }
    if (!PyList_Check(object.ptr()) && !PyTuple_Check(object.ptr()))
        throw py::type_error(std::string(name) + " must be a list, a tuple or an array of strings, not " +
                             py::str(py::type::handle_of(object).attr("__name__")).cast<std::string>());
#if defined(Py_GIL_DISABLED)
    const py::tuple held = py::tuple(py::reinterpret_borrow<py::object>(object));  // nobody changes it
#else
    const py::handle held = object;
#endif
    PyObject** const items = PySequence_Fast_ITEMS(held.ptr());
    const i64 n = PySequence_Fast_GET_SIZE(held.ptr());
    out.shape = {n};
    put_objects([items](i64 i) { return items[i]; }, n, name, bytes, out);
    out.bytes = bytes.take();
    return out;
}

BytesArgument bytes_argument(py::handle object, py::handle starts_object) {
    const py::array bytes = py::array::ensure(object);
    if (!bytes || bytes.dtype().kind() != 'u' || bytes.itemsize() != 1 || bytes.ndim() != 1 ||
        (bytes.flags() & py::array::c_style) == 0)
        throw py::type_error("bytes must be an array of uint8 with one axis, in C order");
    const IdsArgument starts = ids_argument(starts_object, "starts");
    if (starts.ids.type != IdType::int64 || starts.ids.count == 0)
        throw py::value_error("starts must be int64, and at least one");
    const i64* const data = static_cast<const i64*>(starts.ids.data);
    std::vector<i64> copy(data, data + starts.ids.count);
    if (copy.front() != 0 || copy.back() != bytes.size() || !std::is_sorted(copy.begin(), copy.end()))
        throw py::value_error("starts must ascend from 0 to the number of bytes, " +
                              std::to_string(bytes.size()));
    return {bytes, std::move(copy)};
}

py::array bytes_array(std::vector<char>&& bytes) {
    const py::array_t<char> made = array_of(std::move(bytes));
    return made.attr("view")("uint8");
}

py::object str_of(const char* text, i64 length) {
    PyObject* const made = PyUnicode_DecodeUTF8(text, length, "surrogatepass");
    if (made == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(made);
}

py::list list_of(const Texts& texts) {
    py::list made(texts.count);
    for (i64 t = 0; t < texts.count; ++t)
        PyList_SET_ITEM(made.ptr(), t, str_of(texts.begin(t), texts.length(t)).release().ptr());
    return made;
}

}  // namespace pyembed
