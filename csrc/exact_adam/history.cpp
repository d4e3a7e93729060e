#include "exact_adam/history.h"

#include <algorithm>

#include "base/kernel.h"
#include "base/threads.h"
#include "element/scratch.h"
#include "exact_adam/kernels.h"

namespace pyembed {

template <class E>
History<E>::History(const Table& table, Rows<T> moments, std::shared_ptr<Storage> storage,
                    const ExactAdamNumbers& numbers, i64 t)
    : owner_(table),
      table_(table.rows<E>()),
      moments_(moments),
      storage_(std::move(storage)),
      epsilon_(numbers.epsilon),
      series_(numbers.beta_1, numbers.beta_2, numbers.terms,
              std::min(numbers.horizon, Series::most_steps - 1), t),
      stamps_(static_cast<std::size_t>(table_.rows), t) {
    for (const i64 row : table.frozen().rows()) stamps_[static_cast<std::size_t>(row)] = no_row;
    if (table.policy().padding != no_row) stamps_[static_cast<std::size_t>(table.policy().padding)] = no_row;
}

template <class E>
void History<E>::advance(double push, double decay) {
    series_.advance(push, decay);
    is_behind_ = true;
    constexpr i64 round = Series::most_steps / 2;
    if (series_.t() < round) return;
    // By the rows of the whole table, wherever they are: each is settled at the step at which it would be
    // if they were all in one process.
    const i64 turn = series_.t() % round;
    const Share& share = owner_.share();
    settle_range(share.local_rows_before(share.rows * turn / round),
                 share.local_rows_before(share.rows * (turn + 1) / round));
}

template <class E>
void History<E>::settle_all() {
    if (!is_behind_) return;
    settle_range(0, table_.rows);
    series_.restart(series_.t());
    is_behind_ = false;
}

template <class E>
void History<E>::settle(const std::vector<i64>& rows) {
    settle_pieces(static_cast<i64>(rows.size()), [&](i64 begin, i64, i64*) { return rows.data() + begin; });
}

template <class E>
void History<E>::settle_range(i64 first, i64 last) {
    settle_pieces(last - first, [first](i64 begin, i64 end, i64* rows) {
        for (i64 i = begin; i < end; ++i) rows[i - begin] = first + i;
        return rows;
    });
}

// Settles `count` rows in pieces: rows_of(begin, end, space) returns their numbers, in space (end - begin,)
// or elsewhere.
template <class E>
template <class RowsOf>
void History<E>::settle_pieces(i64 count, RowsOf rows_of) {
    constexpr i64 piece = 256;
    const HistoryView<T> history = view();
    const int threads = threads_for(3 * count * moments_.dim * static_cast<i64>(sizeof(T)));
    const Scratch<E> scratch(threads, table_.dim);
    parallel_blocks(count, piece, threads, [&](i64 begin, i64 end, int member) {
        i64 space[piece];
        const i64* const rows = rows_of(begin, end, space);
        kernel<SettleRows<E>>()(history, table_, rows, end - begin, scratch.row(member));
    });
}

template <class E>
void History<E>::settle_copies(const i64* rows, i64 n, Rows<T> copies) const {
    kernel<SettleCopies<T>>()(view(), rows, n, copies);
}

template <class E>
void History<E>::restart(i64 t) {
    settle_all();
    series_.restart(t);
    for (i64& stamp : stamps_)
        if (stamp != no_row) stamp = t;
}

template <class E>
void History<E>::stop(i64 row) {
    settle_range(row, row + 1);
    stamps_[static_cast<std::size_t>(row)] = no_row;
}

template <class E>
void History<E>::go_on(i64 row) {
    i64& stamp = stamps_[static_cast<std::size_t>(row)];
    if (stamp == no_row) stamp = series_.t();
}

template <class E>
void History<E>::move(const AnyRows& table, const AnyArithmeticRows& beside,
                      std::shared_ptr<Storage>& storage) {
    table_ = std::get<Rows<E>>(table);
    moments_ = std::get<Rows<T>>(beside);
    storage_.swap(storage);
    stamps_.resize(static_cast<std::size_t>(table_.rows), series_.t());
}

#define PYEMBED_HISTORY(E) template class History<E>;
PYEMBED_FOR_ELEMENTS(PYEMBED_HISTORY)

}  // namespace pyembed
