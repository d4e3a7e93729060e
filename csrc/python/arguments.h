// From Python objects to views: every check of dtype, shape and layout, with the error that names the
// argument.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <vector>

#include "element/any_rows.h"
#include "keys/ids.h"
#include "lookup/bags.h"
#include "lookup/pooling.h"

namespace pyembed {

namespace py = pybind11;

using Shape = std::vector<py::ssize_t>;

std::string shape_text(const Shape& shape);
Shape shape_of(const py::array& array);

// Calls f(T{}) with what arithmetic is done in, by the name of its dtype.
template <class F>
void with_arithmetic(const std::string& dtype, F f) {
    bool found = false;
    const auto use = [&](auto zero) {
        if (dtype != Element<decltype(zero)>::name) return;
        found = true;
        f(zero);
    };
#define PYEMBED_USE(T) use(T{});
    PYEMBED_FOR_ARITHMETIC(PYEMBED_USE)
#undef PYEMBED_USE
    if (!found) throw py::type_error("'" + dtype + "' is no dtype of gradients and states");
}

// The dtype of what is computed from rows, and of their gradients; or that of an array of such.
std::string arithmetic_name(const AnyRows& rows);
std::string arithmetic_name(const py::array& array, const char* name);

// A matrix (V, D) of a table's elements, read or written where it lies: unit inner stride.
AnyRows matrix_argument(py::handle object, const char* name, bool writeable);

// `object` as rows (…, dim) of dtype T and the given shape. Inputs of another layout are copied, of another
// dtype or shape refused; outputs are never copied.
template <class T>
struct RowsArgument {
    py::array array;
    Rows<T> rows;
};
template <class T>
RowsArgument<const T> input_rows(py::handle object, const char* name, const Shape& shape);
template <class T>
RowsArgument<T> output_rows(py::handle object, const char* name, const Shape& shape);

// A new C-ordered array. The memory of a large one goes back to the pool of buffers when the array dies, so
// that a loop that makes one result after the other does not pay for fresh pages each time.
template <class T>
RowsArgument<T> new_rows(const Shape& shape);

// The same of numbers (of rows, or positions).
py::array new_numbers(const Shape& shape);

// A new array of zeros, whose memory is touched only where it is written. `promised`: all of it will be.
py::array zeros(const Shape& shape, const std::string& dtype, bool promised);

// Ids of any shape. int32, int64 and uint64 in C order are read in place, other integers are widened.
struct IdsArgument {
    py::array array;
    Ids ids;

    Shape shape() const { return shape_of(array); }
};
IdsArgument ids_argument(py::handle object, const char* name = "ids");

// The bags of ids, cut at offsets (B,) or (B + 1,), which are copied, or, where offsets is None, by ids'
// rows.
struct BagsArgument {
    std::vector<i64> offsets;
    Bags bags;
};
BagsArgument bags_argument(const IdsArgument& ids, py::handle offsets, bool include_last_offset);
// A bag for each id, as a lookup without bags is.
BagsArgument each_alone(const IdsArgument& ids);

// Per-sample weights of ids' shape, or None, as max pooling wants. The dtype is the table's.
template <class T>
struct WeightsArgument {
    py::object array;  // or None
    const T* data;
};
template <class T>
WeightsArgument<T> weights_argument(py::handle object, const char* name, const IdsArgument& ids,
                                    Pooling pooling);

// The place of `value` among the names.
template <std::size_t count>
std::size_t choice_argument(const std::string& value, const char* argument,
                            const char* const (&names)[count]) {
    std::string allowed;
    for (std::size_t i = 0; i < count; ++i) {
        if (value == names[i]) return i;
        allowed += (i > 0 ? ", '" : "'") + std::string(names[i]) + "'";
    }
    throw py::value_error(std::string(argument) + "='" + value + "' is none of " + allowed);
}

OutOfRange out_of_range_argument(const std::string& name);
Pooling pooling_argument(const std::string& mode);
std::string mode_name(Pooling pooling);

// Raises IndexError: "id 7 at position (0, 3) is outside a table of 5 rows (valid: 0 to 4)".
[[noreturn]] void raise_bad_id(const BadId& bad, const Shape& ids_shape, i64 rows);

// Arrays that a call is going to write.
class Written {
  public:
    void add(const py::array& array);
    // Whether an array (or None) has an element in common with one of them; or may have, where that is hard
    // to tell.
    bool overlaps(py::handle array) const;

  private:
    struct Range {  // of addresses, with those of its gaps
        const char* begin;
        const char* end;
    };
    static Range range_of(const py::array& array);

    std::vector<std::pair<Range, py::array>> arrays_;
};

// Raises ValueError where `read`, or None, overlaps `written`.
void refuse_overlap(const py::array& written, const char* written_name, py::handle read,
                    const char* read_name);

}  // namespace pyembed
