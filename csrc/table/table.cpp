#include "table/table.h"

#include <stdexcept>
#include <utility>

#include "table/fill.h"

namespace pyembed {

Table::Table(const AnyRows& rows, std::shared_ptr<Storage> storage, const IdPolicy& policy,
             std::optional<MaxNorm> max_norm, const Share& share)
    : rows_(rows), storage_(std::move(storage)), policy_(policy), share_(share), max_norm_(max_norm) {}

TableView Table::view() const {
    const std::lock_guard<std::mutex> guard(moving_);
    return {rows_, policy_, storage_};
}

void Table::freeze(const std::vector<i64>& rows) {
    const TableLock::Alone alone(lock_);
    if (!rows.empty()) frozen_.reserve(policy_.rows);
    for (const i64 row : rows) {
        frozen_.insert(row);
        if (pending_) pending_->stop(row);
    }
}

void Table::reserve_frozen() {
    const TableLock::Alone alone(lock_);
    frozen_.reserve(policy_.rows);
}

void Table::unfreeze(const std::vector<i64>& rows) {
    const TableLock::Alone alone(lock_);
    for (const i64 row : rows) {
        frozen_.erase(row);
        if (pending_ && row != policy_.padding) pending_->go_on(row);
    }
}

std::vector<i64> Table::frozen_rows() const {
    const TableLock::Shared shared(lock_);
    return frozen_.rows();
}

template <class E>
void Table::assign(Rows<const E> values) {
    const TableLock::Alone alone(lock_);
    const Rows<E> to = rows<E>();
    if (values.rows != to.rows || values.dim != to.dim)
        throw std::invalid_argument("the table grew meanwhile");
    copy_rows_but(values, to, [this](i64 row) { return row == policy_.padding || frozen_.contains(row); });
}

void Table::settle() {
    if (!has_pending_) return;  // and so waits for nobody
    const TableLock::Alone alone(lock_);
    if (pending_) pending_->settle_all();
}

void Table::attach(const std::function<std::unique_ptr<Pending>()>& make) {
    std::unique_ptr<Pending> dying;  // after the lock is given back: it may wait for another one
    const TableLock::Alone alone(lock_);
    if (pending_) pending_->settle_all();
    std::unique_ptr<Pending> made = make();
    dying = std::exchange(pending_, std::move(made));
    has_pending_ = pending_ != nullptr;
}

void Table::detach() {
    if (has_pending_) attach([] { return nullptr; });
}

void Table::restart(i64 t) {
    const TableLock::Alone alone(lock_);
    if (pending_) pending_->restart(t);
}

std::vector<i64> Table::stamps() const {
    const TableLock::Shared shared(lock_);
    return pending_ ? pending_->stamps() : std::vector<i64>();
}

void Table::grow(const AnyRows& larger, std::shared_ptr<Storage> storage, const Share& share,
                 const std::function<void()>& move_beside) {
    const TableLock::Alone alone(lock_);
    std::visit(
        [&](auto to) {
            using E = ElementOf<decltype(to)>;
            const Rows<E> from = rows<E>();
            if (to.rows < from.rows || to.dim != from.dim)
                throw std::invalid_argument("array is no larger table");
            if (pending_) {
                pending_->reserve_rows(to.rows);
                pending_->settle_all();
            }
            copy_rows_but(read_only(from), Rows<E>{to.data, from.rows, to.dim, to.stride},
                          [](i64) { return false; });
        },
        larger);
    move_beside();
    const std::lock_guard<std::mutex> guard(moving_);
    rows_ = larger;
    storage_.swap(storage);
    policy_.rows = count_of(larger);
    share_ = share;
}

#define PYEMBED_ASSIGN(E) template void Table::assign(Rows<const E>);
PYEMBED_FOR_ELEMENTS(PYEMBED_ASSIGN)

}  // namespace pyembed
