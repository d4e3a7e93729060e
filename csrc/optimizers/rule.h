// What an optimizer's file has beside its numbers, its state's shape and its formula, where it has nothing to
// say.
#pragma once

#include "base/views.h"

namespace pyembed {

class Table;
struct State;

// A table's state is (V, arrays, width): a row's arrays lie side by side.
struct StateShape {
    i64 arrays;
    i64 width;
};

// What changes from step to step.
struct StepNumbers {
    double learning_rate;
    double decay;  // the factor of the weights' decoupled decay
    i64 t;         // this step's number, from 1
};

struct PlainRule {
    template <class Visit>
    void visit_numbers(Visit) {}
    // Tells the table what its lookups must know.
    void attach(Table&, State&) const {}
    // Makes room for what step t needs, with the table's lock; what follows cannot fail.
    void reserve(Table&, State&, i64) const {}
    // What comes after the rows with a gradient are updated.
    void finish(Table&, const StepNumbers&) const {}

    // Of one row, beside the formula.
    struct Update {
        PYEMBED_INLINE void prefetch(i64) const {}
        template <class T>
        PYEMBED_INLINE void prepare(i64, T*, i64) const {}
    };
};

}  // namespace pyembed
