// A step of an optimizer: all of its tables, or none.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gradient/segments.h"
#include "optimizers/regularization.h"
#include "optimizers/rule.h"
#include "optimizers/state.h"
#include "table/table.h"

namespace pyembed {

template <class T>
using SegmentsPointer = std::unique_ptr<Segments<T>>;
using AnySegments = AnyArithmetic::of<SegmentsPointer>;

// One optimizer's rule with its numbers.
class Rule {
  public:
    virtual ~Rule() = default;
    virtual const char* name() const = 0;
    virtual std::map<std::string, double> numbers() const = 0;
    virtual StateShape state_shape(i64 dim) const = 0;

    // As in PlainRule.
    virtual void attach(Table& table, State& state) const = 0;
    virtual void reserve(Table& table, State& state, i64 t) const = 0;
    // Updates the rows of the gradient, with the table's lock. Cannot fail after `reserve`.
    virtual void apply(Table& table, State& state, const AnySegments& gradient, const StepNumbers& step,
                       const Regularization& regularization) const = 0;
};

// Throws std::invalid_argument where there is no such rule, or its numbers are others.
std::unique_ptr<Rule> make_rule(const std::string& name, const std::map<std::string, double>& numbers);

template <class T>
using BackwardCalls = std::vector<BackwardCall<T>>;
using AnyCalls = AnyArithmetic::of<BackwardCalls>;

// One table's share of a step.
struct Update {
    Table& table;
    AnyCalls calls;
    const Rule& rule;
    State& state;
    double learning_rate;
    double decay;
    Regularization regularization;
};

struct BadUpdate {
    std::size_t update;
    BadCall call;
};

// Steps all tables, each of which stands there once, and counts their t. Whatever is refused or thrown,
// nothing has been written. `before_writing` is called, with all locks, when nothing else can fail; it may
// throw.
std::optional<BadUpdate> step(const std::vector<Update>& updates,
                              const std::function<void()>& before_writing = {});

}  // namespace pyembed
