#include "optimizers/step.h"

#include <algorithm>
#include <deque>
#include <stdexcept>

namespace pyembed {
namespace {

// The gradient of one table, read and sorted; or the first bad id.
std::optional<BadCall> sort_gradient(const Update& update, AnySegments& sorted) {
    return std::visit(
        [&](const auto& calls) -> std::optional<BadCall> {
            using T = std::remove_const_t<std::remove_pointer_t<decltype(calls[0].gradient.data)>>;
            Summands<T> summands;
            {
                const TableLock::Shared shared(update.table.lock());
                if (const auto bad = summands.collect(calls, update.table.rule(), update.table.frozen()))
                    return bad;
            }
            sorted = std::make_unique<Segments<T>>(std::move(summands));
            return std::nullopt;
        },
        update.calls);
}

// Always in one order, so that two steps cannot wait for each other.
std::deque<TableLock::Alone> lock_alone(const std::vector<Update>& updates) {
    std::vector<const Table*> tables;
    for (const Update& update : updates) tables.push_back(&update.table);
    std::sort(tables.begin(), tables.end());
    if (std::adjacent_find(tables.begin(), tables.end()) != tables.end())
        throw std::invalid_argument("a table stands in one step twice");
    std::deque<TableLock::Alone> locks;
    for (const Table* table : tables) locks.emplace_back(table->lock());
    return locks;
}

}  // namespace

std::optional<BadUpdate> step(const std::vector<Update>& updates) {
    std::vector<AnySegments> gradients(updates.size());
    for (std::size_t u = 0; u < updates.size(); ++u)
        if (const auto bad = sort_gradient(updates[u], gradients[u])) return BadUpdate{u, *bad};

    const std::deque<TableLock::Alone> locks = lock_alone(updates);
    for (const Update& update : updates) {
        if (update.table.rule().rows != update.state.rows())
            throw std::invalid_argument("the state is not that of the table's rows");
        update.rule.reserve(update.table, update.state, update.state.t + 1);
    }
    // Nothing below can fail.
    for (std::size_t u = 0; u < updates.size(); ++u) {
        const Update& update = updates[u];
        const StepNumbers numbers{update.learning_rate, update.decay, ++update.state.t};
        update.rule.apply(update.table, update.state, gradients[u], numbers, update.regularization);
    }
    return std::nullopt;
}

}  // namespace pyembed
