#include "python/arguments.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "base/buffer.h"
#include "storage/anonymous.h"

namespace pyembed {
namespace {

constexpr int aligned_flag = py::detail::npy_api::NPY_ARRAY_ALIGNED_;

bool is_native(const py::array& array) {
    const char order = array.dtype().byteorder();
    return order == '=' || order == '|';
}

std::string text(py::handle object) {
    return py::str(object).cast<std::string>();
}

std::string type_name(py::handle object) {
    return text(py::type::of(object).attr("__name__"));
}

template <class T>
bool has_dtype(const py::array& array) {
    const py::dtype dtype = array.dtype();
    return dtype.kind() == 'f' && dtype.itemsize() == sizeof(T) && is_native(array);
}

// The array's memory as rows of its last axis, where all the others collapse into one stride.
template <class T>
std::optional<Rows<T>> rows_of(const py::array& array) {
    constexpr py::ssize_t item = sizeof(T);
    const py::ssize_t axes = array.ndim();
    if (axes == 0 || (array.flags() & aligned_flag) == 0) return std::nullopt;
    const i64 dim = array.shape(axes - 1);
    i64 rows = 1;
    for (py::ssize_t axis = 0; axis + 1 < axes; ++axis) rows *= array.shape(axis);
    T* const data = static_cast<T*>(const_cast<void*>(array.data()));
    if (rows == 0 || dim == 0) return Rows<T>{data, rows, dim, dim};  // whatever the strides say
    if (dim > 1 && array.strides(axes - 1) != item) return std::nullopt;
    i64 inner_rows = 1;
    i64 row_bytes = dim * item;
    for (py::ssize_t axis = axes - 2; axis >= 0; --axis) {
        if (array.shape(axis) == 1) continue;
        if (inner_rows == 1)
            row_bytes = array.strides(axis);
        else if (array.strides(axis) != row_bytes * inner_rows)
            return std::nullopt;
        inner_rows *= array.shape(axis);
    }
    if (row_bytes % item != 0) return std::nullopt;
    return Rows<T>{data, rows, dim, row_bytes / item};
}

// Rows that overlap each other cannot be written by several threads, nor mean anything.
template <class T>
bool rows_overlap(const Rows<T>& view) {
    return view.rows > 1 && view.dim > 0 && std::abs(view.stride) < view.dim;
}

template <class T>
Rows<T> matrix_rows(const py::array& array, const char* name, bool writeable) {
    const auto rows = rows_of<T>(array);
    if (!rows)
        throw py::value_error(std::string(name) +
                              " must have contiguous rows (a unit stride along its last axis) in aligned "
                              "memory, as a copy() of it has");
    if (writeable && !array.writeable()) throw py::value_error(std::string(name) + " is read-only");
    if (writeable && rows_overlap(*rows))
        throw py::value_error(std::string(name) + " has rows that share memory, and cannot be written");
    return *rows;
}

py::array array_argument(py::handle object, const char* name) {
    if (!py::isinstance<py::array>(object))
        throw py::type_error(std::string(name) + " must be a numpy.ndarray, not " + type_name(object));
    return py::reinterpret_borrow<py::array>(object);
}

py::array as_array(py::handle object, const char* name) {
    const bool is_plain = Py_TYPE(object.ptr()) == py::detail::npy_api::get().PyArray_Type_;
    if (is_plain) return py::reinterpret_borrow<py::array>(object);
    return py::module_::import("pyembed._arrays").attr("as_array")(object, name);
}

void check_shape(const py::array& array, const char* name, const Shape& shape) {
    if (shape_of(array) != shape)
        throw py::value_error(std::string(name) + " has shape " + shape_text(shape_of(array)) +
                              ", but must have shape " + shape_text(shape));
}

template <class T>
void check_dtype(const py::array& array, const char* name) {
    if (!has_dtype<T>(array))
        throw py::type_error(std::string(name) + " must have dtype " + Element<T>::name + ", not " +
                             text(array.dtype()));
}

// A copy in C order, aligned: numpy.ascontiguousarray would return an array that only is in order.
py::array copy_of(const py::array& array, const char* dtype) {
    py::object copy = py::module_::import("numpy").attr("empty")(py::tuple(py::cast(shape_of(array))), dtype);
    copy.attr("__setitem__")(py::ellipsis(), array);
    return py::reinterpret_borrow<py::array>(copy);
}

bool is_contiguous(const py::array& array) {
    return (array.flags() & py::array::c_style) != 0 && (array.flags() & aligned_flag) != 0;
}

std::optional<IdType> id_type(const py::array& array) {
    const py::dtype dtype = array.dtype();
    const char kind = dtype.kind();
    if (kind == 'i' && dtype.itemsize() == 8) return IdType::int64;
    if (kind == 'i' && dtype.itemsize() == 4) return IdType::int32;
    if (kind == 'u' && dtype.itemsize() == 8) return IdType::uint64;
    return std::nullopt;
}

void refuse_offsets(i64 bag, i64 offset, const std::string& why) {
    throw py::value_error("offsets[" + std::to_string(bag) + "] is " + std::to_string(offset) + ", but " +
                          why);
}

// The columns of a matrix may lie between each other's: by addresses alone, they would overlap.
bool share_memory(const py::array& a, const py::array& b) {
    return py::module_::import("pyembed._arrays").attr("share_memory")(a, b).cast<bool>();
}

// In memory of the pool where it is large.
template <class T>
py::array new_array(const Shape& shape) {
    std::size_t bytes = sizeof(T);
    for (const py::ssize_t axis : shape) bytes *= static_cast<std::size_t>(axis);
    if (!Buffer::is_kept(bytes)) return py::array_t<T>(shape);
    auto memory = std::make_unique<Buffer>(bytes);
    T* const data = memory->template as<T>();
    const py::capsule owner(memory.get(), [](void* buffer) { delete static_cast<Buffer*>(buffer); });
    (void)memory.release();
    return py::array_t<T>(shape, data, owner);
}

}  // namespace

std::string shape_text(const Shape& shape) {
    return text(py::tuple(py::cast(shape)));
}

Shape shape_of(const py::array& array) {
    return Shape(array.shape(), array.shape() + array.ndim());
}

std::string arithmetic_name(const AnyRows& rows) {
    return std::visit([](const auto& r) { return Element<Compute<ElementOf<decltype(r)>>>::name; }, rows);
}

std::string arithmetic_name(const py::array& array, const char* name) {
#define PYEMBED_NAME(T) \
    if (has_dtype<T>(array)) return Element<T>::name;
    PYEMBED_FOR_ARITHMETIC(PYEMBED_NAME)
#undef PYEMBED_NAME
    throw py::type_error(std::string(name) + " has dtype " + text(array.dtype()) +
                         ", which no arithmetic is done in");
}

AnyRows matrix_argument(py::handle object, const char* name, bool writeable) {
    const py::array array = array_argument(object, name);
    std::string allowed;
    std::optional<AnyRows> rows;
    const auto try_element = [&](auto zero) {
        using E = decltype(zero);
        allowed += (allowed.empty() ? "" : " or ") + std::string(Element<E>::name);
        if (has_dtype<E>(array) && array.ndim() == 2) rows = matrix_rows<E>(array, name, writeable);
        return has_dtype<E>(array);
    };
#define PYEMBED_TRY(E) || try_element(E{})
    if (!(false PYEMBED_FOR_ELEMENTS(PYEMBED_TRY)))
        throw py::type_error(std::string(name) + " must have dtype " + allowed + ", not " +
                             text(array.dtype()));
#undef PYEMBED_TRY
    if (!rows)
        throw py::value_error(std::string(name) + " must have two axes (rows, dim), not shape " +
                              shape_text(shape_of(array)));
    return *rows;
}

template <class T>
RowsArgument<const T> input_rows(py::handle object, const char* name, const Shape& shape) {
    py::array array = as_array(object, name);
    check_dtype<T>(array, name);
    check_shape(array, name, shape);
    auto rows = rows_of<T>(array);
    if (!rows) {
        array = copy_of(array, Element<T>::name);
        rows = rows_of<T>(array);
    }
    return {array, read_only(rows.value())};
}

template <class T>
RowsArgument<T> output_rows(py::handle object, const char* name, const Shape& shape) {
    py::array array = array_argument(object, name);
    check_dtype<T>(array, name);
    check_shape(array, name, shape);
    return {array, matrix_rows<T>(array, name, true)};
}

template <class T>
RowsArgument<T> new_rows(const Shape& shape) {
    const py::array array = new_array<T>(shape);
    return {array, *rows_of<T>(array)};
}

py::array new_numbers(const Shape& shape) {
    return new_array<i64>(shape);
}

py::array zeros(const Shape& shape, const std::string& dtype, bool promised) {
    const py::dtype type(dtype);
    const py::ssize_t item = type.itemsize();
    py::ssize_t bytes = item;
    for (const py::ssize_t axis : shape) {
        if (axis < 0) throw py::value_error("shape " + shape_text(shape) + " has a negative axis");
        if (axis > 0 && bytes > PTRDIFF_MAX / axis)
            throw py::value_error("shape " + shape_text(shape) + " has more bytes than an address can count");
        bytes *= axis;
    }
    const std::size_t size = static_cast<std::size_t>(bytes);
    std::unique_ptr<AnonymousMemory> memory;
    try {
        memory = std::make_unique<AnonymousMemory>(size, promised);
    } catch (const std::bad_alloc&) {
        PyErr_Format(PyExc_MemoryError, "an array of shape %s needs %zu bytes, which are not to be had",
                     shape_text(shape).c_str(), size);
        throw py::error_already_set();
    }
    void* const data = memory->data();
    const py::capsule owner(memory.get(), [](void* dying) { delete static_cast<AnonymousMemory*>(dying); });
    (void)memory.release();
    return py::array(type, shape, data, owner);
}

IdsArgument ids_argument(py::handle object, const char* name) {
    py::array array = as_array(object, name);
    const char kind = array.dtype().kind();
    const bool is_empty_sequence = array.size() == 0 && !py::isinstance<py::array>(object);
    if (kind != 'i' && kind != 'u' && !is_empty_sequence)
        throw py::type_error(std::string(name) + " must be integers, not " + text(array.dtype()));
    auto type = id_type(array);
    if (!type || !is_native(array) || !is_contiguous(array)) {
        const bool is_large = type == IdType::uint64;
        array = copy_of(array, is_large ? "uint64" : "int64");
        type = is_large ? IdType::uint64 : IdType::int64;
    }
    return {array, {array.data(), array.size(), *type}};
}

BagsArgument bags_argument(const IdsArgument& ids, py::handle offsets, bool include_last_offset) {
    const i64 count = ids.ids.count;
    if (ids.array.ndim() == 2) {
        if (!offsets.is_none())
            throw py::value_error("ids with two axes are bags of equal length and take no offsets");
        return {{}, {ids.array.shape(0), ids.array.shape(1), nullptr}};
    }
    if (ids.array.ndim() != 1)
        throw py::value_error("ids of bags must have one axis (with offsets) or two, not shape " +
                              shape_text(ids.shape()));
    if (offsets.is_none()) throw py::value_error("ids with one axis need offsets, which start each bag");

    const IdsArgument starts = ids_argument(offsets, "offsets");
    const py::dtype dtype = as_array(offsets, "offsets").dtype();
    if (starts.ids.count > 0 && (dtype.kind() != 'i' || dtype.itemsize() < 4))
        throw py::type_error("offsets must have dtype int32 or int64, not " + text(dtype));
    if (starts.array.ndim() != 1)
        throw py::value_error("offsets must have one axis, not shape " + shape_text(starts.shape()));
    std::vector<i64> bounds(static_cast<std::size_t>(starts.ids.count));
    for (i64 bag = 0; bag < starts.ids.count; ++bag) {
        const std::size_t b = static_cast<std::size_t>(bag);
        bounds[b] = starts.ids.type == IdType::int32 ? static_cast<const std::int32_t*>(starts.ids.data)[bag]
                                                     : static_cast<const i64*>(starts.ids.data)[bag];
        if (bag == 0 && bounds[b] != 0) refuse_offsets(bag, bounds[b], "the first bag must start at 0");
        if (bag > 0 && bounds[b] < bounds[b - 1]) refuse_offsets(bag, bounds[b], "offsets must ascend");
        if (bounds[b] > count)
            refuse_offsets(bag, bounds[b], "there are only " + std::to_string(count) + " ids");
    }
    if (!include_last_offset) {
        if (bounds.empty() && count > 0)
            throw py::value_error("offsets is empty, but there are " + std::to_string(count) + " ids");
        bounds.push_back(count);
    } else if (bounds.empty()) {
        throw py::value_error(
            "offsets is empty, but include_last_offset=True needs at least the last offset");
    } else if (bounds.back() != count) {
        refuse_offsets(
            starts.ids.count - 1, bounds.back(),
            "with include_last_offset=True the last must be the number of ids, " + std::to_string(count));
    }
    BagsArgument result{std::move(bounds), {}};
    result.bags = {static_cast<i64>(result.offsets.size()) - 1, 0, result.offsets.data()};
    return result;
}

BagsArgument each_alone(const IdsArgument& ids) {
    return {{}, {ids.ids.count, 1, nullptr}};
}

template <class T>
WeightsArgument<T> weights_argument(py::handle object, const char* name, const IdsArgument& ids,
                                    Pooling pooling) {
    if (object.is_none()) return {py::none(), nullptr};
    if (selects(pooling)) throw py::value_error("mode='" + mode_name(pooling) + "' takes no " + name);
    py::array array = as_array(object, name);
    check_dtype<T>(array, name);
    check_shape(array, name, ids.shape());
    if (!is_contiguous(array)) array = copy_of(array, Element<T>::name);
    return {array, static_cast<const T*>(array.data())};
}

OutOfRange out_of_range_argument(const std::string& name) {
    return static_cast<OutOfRange>(choice_argument(name, "out_of_range", out_of_range_names));
}

Pooling pooling_argument(const std::string& mode) {
    return static_cast<Pooling>(choice_argument(mode, "mode", pooling_names));
}

std::string mode_name(Pooling pooling) {
    return pooling_names[static_cast<std::size_t>(pooling)];
}

void raise_bad_id(const BadId& bad, const Shape& ids_shape, i64 rows) {
    const std::string id =
        bad.is_unsigned ? std::to_string(bad.bits) : std::to_string(static_cast<i64>(bad.bits));
    std::string where;
    if (ids_shape.size() == 1) where = " at position " + std::to_string(bad.position);
    if (ids_shape.size() > 1) {
        Shape index(ids_shape.size());
        i64 rest = bad.position;
        for (std::size_t axis = ids_shape.size(); axis-- > 0; rest /= ids_shape[axis])
            index[axis] = rest % ids_shape[axis];
        where = " at position " + shape_text(index);
    }
    throw py::index_error("id " + id + where + " is outside a table of " + std::to_string(rows) +
                          " rows (valid: 0 to " + std::to_string(rows - 1) + ")");
}

Written::Range Written::range_of(const py::array& array) {
    const char* const data = static_cast<const char*>(array.data());
    if (array.size() == 0) return {data, data};
    Range range{data, data + array.itemsize()};
    for (py::ssize_t axis = 0; axis < array.ndim(); ++axis) {
        const py::ssize_t reach = (array.shape(axis) - 1) * array.strides(axis);
        (reach < 0 ? range.begin : range.end) += reach;
    }
    return range;
}

void Written::add(const py::array& array) {
    arrays_.emplace_back(range_of(array), array);
}

bool Written::overlaps(py::handle object) const {
    if (object.is_none()) return false;
    const auto array = py::reinterpret_borrow<py::array>(object);
    const Range range = range_of(array);
    return std::any_of(arrays_.begin(), arrays_.end(), [&](const auto& other) {
        return range.begin < other.first.end && other.first.begin < range.end &&
               share_memory(array, other.second);
    });
}

void refuse_overlap(const py::array& written, const char* written_name, py::handle read,
                    const char* read_name) {
    Written arrays;
    arrays.add(written);
    if (arrays.overlaps(read))
        throw py::value_error(std::string(written_name) + " overlaps " + read_name + " in memory");
}

#define PYEMBED_ARGUMENTS(T)                                                             \
    template RowsArgument<const T> input_rows<T>(py::handle, const char*, const Shape&); \
    template RowsArgument<T> output_rows<T>(py::handle, const char*, const Shape&);      \
    template RowsArgument<T> new_rows<T>(const Shape&);                                  \
    template WeightsArgument<T> weights_argument<T>(py::handle, const char*, const IdsArgument&, Pooling);
PYEMBED_FOR_ARITHMETIC(PYEMBED_ARGUMENTS)

}  // namespace pyembed
