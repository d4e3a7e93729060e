// Each optimizer's file as a Rule.
#include <stdexcept>

#include "base/kernel.h"
#include "element/scratch.h"
#include "optimizers/all.h"
#include "optimizers/kernels.h"
#include "optimizers/step.h"

namespace pyembed {
namespace {

template <class R>
class RuleOf final : public Rule {
  public:
    explicit RuleOf(std::map<std::string, double> numbers) {
        rule_.visit_numbers([&](const char* name, double& number) {
            const auto found = numbers.find(name);
            if (found == numbers.end())
                throw std::invalid_argument(std::string(R::name) + " needs the number " + name);
            number = found->second;
            numbers.erase(found);
        });
        if (!numbers.empty())
            throw std::invalid_argument(std::string(R::name) + " has no number " + numbers.begin()->first);
    }

    const char* name() const override { return R::name; }

    std::map<std::string, double> numbers() const override {
        std::map<std::string, double> found;
        R(rule_).visit_numbers([&](const char* name, double& number) { found[name] = number; });
        return found;
    }

    StateShape state_shape(i64 dim) const override { return R::state_shape(dim); }
    void attach(Table& table, State& state) const override { rule_.attach(table, state); }
    void reserve(Table& table, State& state, i64 t) const override { rule_.reserve(table, state, t); }

    void apply(Table& table, State& state, const AnySegments& gradient, const StepNumbers& step,
               const Regularization& regularization) const override {
        table.visit_rows([&](auto rows) {
            using E = ElementOf<decltype(rows)>;
            using T = Compute<E>;
            const auto& segments = *std::get<SegmentsPointer<T>>(gradient);
            const auto update = rule_.template at<T>(step, table, state);
            const Rows<T> arrays = std::get<Rows<T>>(state.arrays);
            const Scratch<E> opened(segments.threads(), rows.dim);
            const auto loop = kernel<StepSegments<E, R>>();
            segments.for_each_block(
                [&](const SegmentsView<T>& view, i64 begin, i64 end, T* scratch, int member) {
                    loop(view, begin, end, scratch, opened.row(member), rows, arrays, update, regularization);
                });
        });
        rule_.finish(table, step);
    }

  private:
    R rule_;
};

// Calls use(type) with each rule's type, as a null pointer to it, until that returns true.
template <class Use, class... R>
bool any_rule(RuleList<R...>, Use use) {
    return (use(static_cast<R*>(nullptr)) || ...);
}

}  // namespace

std::unique_ptr<Rule> make_rule(const std::string& name, const std::map<std::string, double>& numbers) {
    std::unique_ptr<Rule> made;
    any_rule(AllRules(), [&](auto* rule) {
        using R = std::remove_pointer_t<decltype(rule)>;
        if (name != R::name) return false;
        made = std::make_unique<RuleOf<R>>(numbers);
        return true;
    });
    if (!made) throw std::invalid_argument("there is no rule '" + name + "'");
    return made;
}

}  // namespace pyembed
