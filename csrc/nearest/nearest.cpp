#include "nearest/nearest.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/buffer.h"
#include "base/kernel.h"
#include "base/threads.h"
#include "nearest/kernels.h"

namespace pyembed {
namespace {

struct Found {
    double cosine;
    i64 row;

    bool is_before(const Found& other) const {
        return cosine > other.cosine || (cosine == other.cosine && row < other.row);
    }
};

constexpr auto before = [](const Found& a, const Found& b) { return a.is_before(b); };

// The best of what was offered, at most k: a heap with the last of them on top.
class Best {
  public:
    Best(Found* heap, i64 k) : heap_(heap), k_(k) {}

    bool is_full() const { return size_ == k_; }
    double last() const { return heap_[0].cosine; }
    void offer(const Found& found) {
        if (is_full()) {
            if (!found.is_before(heap_[0])) return;
            std::pop_heap(heap_, heap_ + size_--, before);
        }
        heap_[size_++] = found;
        std::push_heap(heap_, heap_ + size_, before);
    }
    const Found* begin() const { return heap_; }
    const Found* end() const { return heap_ + size_; }

  private:
    Found* heap_;
    i64 k_;
    i64 size_ = 0;
};

// By how much a cosine in the arithmetic of T may be below what it is in double. With u half of epsilon,
// rounding adds up to at most dim * u in an inner product in any order, and to half of that in a length: the
// row's, and the question's, which is scaled to 1 before. What is left of 3 * dim * u covers the roundings of
// the cosine in double, where T is double too; 16 * u, those of roots, quotients and the limit.
template <class T>
double screening_error(i64 dim) {
    const double u = std::numeric_limits<T>::epsilon() / 2;
    const double sum = static_cast<double>(dim) * u;
    return sum < 1.0 / 16 ? 3 * sum + 16 * u : std::numeric_limits<double>::infinity();
}

// Questions scaled to length 1 in the table's arithmetic, as they lie twice.
template <class T>
class Scaled {
  public:
    explicit Scaled(Rows<const double> questions)
        : dim_(questions.dim),
          count_(questions.rows),
          vectors_(Buffer::of<T>(count_ * dim_)),
          columns_(Buffer::of<T>(blocks() * questions_in_block * dim_)) {
        std::fill_n(columns_.template as<T>(), blocks() * questions_in_block * dim_, T{0});
        for (i64 question = 0; question < count_; ++question) put(question, questions.row(question));
    }

    i64 blocks() const { return (count_ + questions_in_block - 1) / questions_in_block; }
    // (dim,)
    T* vector(i64 question) const { return vectors_.template as<T>() + question * dim_; }
    // (dim, questions_in_block)
    T* columns(i64 block) const { return columns_.template as<T>() + block * questions_in_block * dim_; }
    i64 count(i64 block) const { return std::min(questions_in_block, count_ - block * questions_in_block); }

  private:
    // Divided by the largest number first, so that no square leaves the range of double.
    void put(i64 question, const double* from) {
        double largest = 0.0;
        for (i64 column = 0; column < dim_; ++column) largest = std::max(largest, std::abs(from[column]));
        double squares = 0.0;
        for (i64 column = 0; column < dim_; ++column)
            squares += (from[column] / largest) * (from[column] / largest);
        T* const lane = columns(question / questions_in_block) + question % questions_in_block;
        for (i64 column = 0; column < dim_; ++column) {
            vector(question)[column] = static_cast<T>(from[column] / largest / std::sqrt(squares));
            lane[column * questions_in_block] = vector(question)[column];
        }
    }

    i64 dim_;
    i64 count_;
    Buffer vectors_;
    Buffer columns_;
};

// What one thread has found so far.
template <class E>
class Search {
    using T = Compute<E>;

  public:
    Search(Rows<const E> table, Rows<const double> questions, const Scaled<T>& scaled, i64 k, i64 most_rows)
        : table_(table),
          questions_(questions),
          scaled_(scaled),
          error_(screening_error<T>(table.dim)),
          heaps_(Buffer::of<Found>(questions.rows * k)),
          limits_(static_cast<std::size_t>(scaled.blocks() * questions_in_block), T{2}),
          norms_(Buffer::of<T>(most_rows)) {
        std::fill_n(limits_.begin(), questions.rows, limit(-1.0));
        for (i64 question = 0; question < questions.rows; ++question)
            best_.emplace_back(heaps_.as<Found>() + question * k, k);
    }

    void look_through(i64 begin, i64 end) {
        constexpr i64 few = 2;  // questions, for which most lanes of a block would be idle
        if (questions_.rows <= few)
            by_tiles(begin, end, questions_.rows,
                     [&](i64 question, i64 first, i64 last) { screen_for_one(question, first, last); });
        else
            look_for_blocks(begin, end);
    }
    const Best& best(i64 question) const { return best_[static_cast<std::size_t>(question)]; }

  private:
    // Calls f(i, first, last) for all i below n, and tiles of rows for each.
    template <class F>
    static void by_tiles(i64 begin, i64 end, i64 n, F f) {
        for (i64 i = 0; i < n; ++i)
            for (i64 first = begin; first < end; first += rows_in_tile)
                f(i, first, std::min(end, first + rows_in_tile));
    }
    Rows<const E> part(i64 begin, i64 end) const {
        return {table_.row(begin), end - begin, table_.dim, table_.stride};
    }
    // What rows must reach in T's arithmetic, so that none with such a cosine is missed; all reach -2.
    T limit(double cosine) const { return static_cast<T>(std::max(cosine - error_, -2.0)); }

    void screen_for_one(i64 question, i64 begin, i64 end) {
        i64 passed[rows_in_tile];
        Pair pairs[rows_in_tile];
        const i64 n = kernel<ScreenForOne<E>>()(part(begin, end), scaled_.vector(question),
                                                limits_[static_cast<std::size_t>(question)], passed);
        for (i64 i = 0; i < n; ++i) pairs[i] = {begin + passed[i], question};
        offer(pairs, n);
    }

    void look_for_blocks(i64 begin, i64 end) {
        T* const norms = norms_.template as<T>();
        kernel<QuickNorms<E>>()(part(begin, end), norms);
        by_tiles(begin, end, scaled_.blocks(), [&](i64 number, i64 first, i64 last) {
            i64 passed[rows_in_tile * questions_in_block];
            Pair pairs[rows_in_tile * questions_in_block];
            const i64 question = number * questions_in_block;
            const QuestionBlock<T> block{scaled_.columns(number), limits_.data() + question,
                                         scaled_.count(number)};
            const i64 n = kernel<ScreenRows<E>>()(part(first, last), norms + first - begin, block, passed);
            for (i64 i = 0; i < n; ++i)
                pairs[i] = {first + passed[i] / questions_in_block,
                            question + passed[i] % questions_in_block};
            offer(pairs, n);
        });
    }

    // What passed a screen, by its cosine in double.
    void offer(const Pair* pairs, i64 n) {
        if (n == 0) return;
        double cosines[rows_in_tile * questions_in_block];
        kernel<Cosines<E>>()(table_, questions_, pairs, n, cosines);
        for (i64 i = 0; i < n; ++i) {
            if (std::isnan(cosines[i])) continue;
            const auto question = static_cast<std::size_t>(pairs[i].question);
            best_[question].offer({cosines[i], pairs[i].row});
            if (best_[question].is_full()) limits_[question] = limit(best_[question].last());
        }
    }

    Rows<const E> table_;
    Rows<const double> questions_;
    const Scaled<T>& scaled_;
    double error_;
    Buffer heaps_;
    std::vector<Best> best_;
    std::vector<T> limits_;  // by blocks; beside the last question 2, which no row reaches
    Buffer norms_;
};

}  // namespace

template <class E>
void nearest(Rows<const E> table, Rows<const double> questions, i64 k, i64* rows, double* cosines) {
    if (questions.rows == 0 || k == 0) return;
    const i64 row_bytes = table.dim * static_cast<i64>(sizeof(E));
    const int threads = threads_for(table.rows * row_bytes * std::min<i64>(questions.rows, 1 << 20));
    const Scaled<Compute<E>> scaled(questions);
    std::vector<Search<E>> searches;
    for (int member = 0; member < threads; ++member)
        searches.emplace_back(table, questions, scaled, k, rows_in_range(row_bytes));
    parallel_row_ranges(table.rows, row_bytes, threads, [&](i64 begin, i64 end, int member) {
        searches[static_cast<std::size_t>(member)].look_through(begin, end);
    });
    std::vector<Found> all;
    for (i64 question = 0; question < questions.rows; ++question) {
        all.clear();
        for (const Search<E>& search : searches)
            all.insert(all.end(), search.best(question).begin(), search.best(question).end());
        const auto count = std::min(static_cast<i64>(all.size()), k);
        std::partial_sort(all.begin(), all.begin() + count, all.end(), before);
        for (i64 i = 0; i < k; ++i) {
            const bool is_there = i < count;
            rows[question * k + i] = is_there ? all[static_cast<std::size_t>(i)].row : no_row;
            cosines[question * k + i] =
                is_there ? all[static_cast<std::size_t>(i)].cosine : std::numeric_limits<double>::quiet_NaN();
        }
    }
}

#define PYEMBED_NEAREST(E) template void nearest(Rows<const E>, Rows<const double>, i64, i64*, double*);
PYEMBED_FOR_ELEMENTS(PYEMBED_NEAREST)

}  // namespace pyembed
