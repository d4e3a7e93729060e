// The second stage of a gradient: every summand of several backward calls, in order of position.
#pragma once

#include <optional>
#include <vector>

#include "base/buffer.h"
#include "base/row_set.h"
#include "gradient/backward_call.h"
#include "gradient/views.h"
#include "keys/owners.h"
#include "keys/partition.h"

namespace pyembed {

struct BadCall {
    std::size_t call;
    BadId id;
};

// Borrows the upstream gradients themselves.
template <class T>
class Summands {
  public:
    // Reads and checks all ids. Ids without a row, and rows in `frozen`, have no gradient and are left out.
    // Throws std::length_error where rows x sources do not fit into 64 bits. With owners, rows are their
    // places from here on.
    std::optional<BadCall> collect(const std::vector<BackwardCall<T>>& calls, const IdPolicy& policy,
                                   const RowSet& frozen, const Owners* owners = nullptr);

    // Takes the summands of a plain call, whose ids a lookup has sorted by place; but for those of `padding`.
    void take(const BackwardCall<T>& call, const Partition& ids, const Owners& owners, i64 padding);

    // Sorts them by row, within a row in order of position.
    void sort();
    // Sorts them by the owner of the row alone, in order of position.
    void sort_by_owner(const Owners& owners);

    i64 count() const { return count_; }
    i64 dim() const { return dim_; }
    SummandsView<T> view() const {
        return {pairs_.as<u64>(),
                count_,
                source_bits_,
                dim_,
                base_.data,
                base_.stride,
                sources_.template as<const T*>(),
                coefs_.template as<T>(),
                winners_.template as<const Position<T>*>(),
                positions_.template as<Position<T>>()};
    }

  private:
    // Returns the number of sources.
    i64 reserve(const std::vector<BackwardCall<T>>& calls);
    // Sorts pairs by their bits from `shift` on.
    void sort_above(int shift);

    i64 count_ = 0;
    i64 dim_ = 0;
    int row_bits_ = 0;
    int source_bits_ = 0;
    bool is_sorted_ = false;
    Rows<const T> base_{};
    // What view() has; null where nothing needs it.
    Buffer pairs_;
    Buffer sources_;
    Buffer coefs_;
    Buffer winners_;
    Buffer positions_;
    Buffer everywhere_;  // (D,) zeros: the winners of sources that count in every column, at position 0
};

}  // namespace pyembed
