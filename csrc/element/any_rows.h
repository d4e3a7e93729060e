// Rows, and what is made of them, whose type is known when the program runs.
#pragma once

#include <type_traits>
#include <utility>
#include <variant>

#include "element/element.h"

namespace pyembed {

// of<V>: a V<E> of some E.
template <class, class... E>
struct AnyOf {
    template <template <class> class V>
    using of = std::variant<V<E>...>;
};

#define PYEMBED_ALSO(E) , E
using AnyElement = AnyOf<void PYEMBED_FOR_ELEMENTS(PYEMBED_ALSO)>;
using AnyArithmetic = AnyOf<void PYEMBED_FOR_ARITHMETIC(PYEMBED_ALSO)>;
#undef PYEMBED_ALSO

using AnyRows = AnyElement::of<Rows>;
using AnyArithmeticRows = AnyArithmetic::of<Rows>;

template <class AnyRowsOrArithmetic>
i64 count_of(const AnyRowsOrArithmetic& rows) {
    return std::visit([](const auto& r) { return r.rows; }, rows);
}

// What rows that a visitor is given consist of.
template <class R>
using ElementOf = std::remove_pointer_t<decltype(std::declval<R>().data)>;

}  // namespace pyembed
