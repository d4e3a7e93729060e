#include "optimizers/step.h"

#include <algorithm>
#include <exception>
#include <stdexcept>

#include "base/threads.h"
#include "table/table_locks.h"

namespace pyembed {
namespace {

// The gradient of one table, read and sorted; or the first bad id.
std::optional<BadCall> sort_gradient(const Update& update, AnySegments& sorted) {
    return std::visit(
        [&](const auto& calls) -> std::optional<BadCall> {
            using T = typename std::decay_t<decltype(calls[0])>::Number;
            Summands<T> summands;
            {
                const TableLock::Shared shared(update.table.lock());
                if (const auto bad = summands.collect(calls, update.table.policy(), update.table.frozen()))
                    return bad;
            }
            sorted = std::make_unique<Segments<T>>(std::move(summands));
            return std::nullopt;
        },
        update.calls);
}

i64 bytes_of(const Update& update) {
    i64 bytes = 0;
    std::visit(
        [&](const auto& calls) {
            for (const auto& call : calls)
                bytes += call.ids.count * call.gradient.dim * static_cast<i64>(sizeof(*call.gradient.data));
        },
        update.calls);
    return bytes;
}

// Calls f(u) for each update, and rethrows what the first one threw. Many small tables are dealt to the
// threads of a team, each to one alone, which then need not wait for each other; of few or large ones, each
// has the whole team.
template <class F>
void for_each_update(const std::vector<Update>& updates, F f) {
    i64 all = 0;
    i64 largest = 0;
    for (const Update& update : updates) {
        const i64 bytes = bytes_of(update);
        all += bytes;
        largest = std::max(largest, bytes);
    }
    const i64 count = static_cast<i64>(updates.size());
    const int threads = threads_for(4 * all);
    if (threads == 1 || count < 2 * threads || largest * threads > all) {
        for (std::size_t u = 0; u < updates.size(); ++u) f(u);
        return;
    }
    std::vector<std::exception_ptr> thrown(updates.size());
    parallel_blocks(count, 1, threads, [&](i64 at, i64, int) {
        const std::size_t u = static_cast<std::size_t>(at);
        try {
            f(u);
        } catch (...) {
            thrown[u] = std::current_exception();
        }
    });
    for (const std::exception_ptr& error : thrown)
        if (error) std::rethrow_exception(error);
}

}  // namespace

std::optional<BadUpdate> step(const std::vector<Update>& updates,
                              const std::function<void()>& before_writing) {
    std::vector<AnySegments> gradients(updates.size());
    std::vector<std::optional<BadCall>> bad(updates.size());
    for_each_update(updates, [&](std::size_t u) { bad[u] = sort_gradient(updates[u], gradients[u]); });
    for (std::size_t u = 0; u < updates.size(); ++u)
        if (bad[u]) return BadUpdate{u, *bad[u]};

    std::vector<const Table*> tables;
    for (const Update& update : updates) tables.push_back(&update.table);
    const TableLocks<TableLock::Alone> locks(tables);
    for (const Update& update : updates) {
        if (update.table.policy().rows != update.state.rows())
            throw std::invalid_argument("the state is not that of the table's rows");
        update.rule.reserve(update.table, update.state, update.state.t + 1);
    }
    if (before_writing) before_writing();
    // Nothing below can fail.
    for_each_update(updates, [&](std::size_t u) {
        const Update& update = updates[u];
        const StepNumbers numbers{update.learning_rate, update.decay, ++update.state.t};
        update.rule.apply(update.table, update.state, gradients[u], numbers, update.regularization);
    });
    return std::nullopt;
}

}  // namespace pyembed
