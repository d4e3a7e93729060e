// The sums of series_view.h, step by step.
#pragma once

#include <vector>

#include "exact_adam/series_view.h"

namespace pyembed {

// Powers of a number below 1.
class Powers {
  public:
    explicit Powers(double base);
    PowersView view() const { return {fine_.data(), coarse_.data()}; }

  private:
    std::vector<double> fine_;
    std::vector<double> coarse_;
};

// Keeps them for every step that a row may have been settled at.
class Series {
  public:
    // Rows are settled at least once in so many steps.
    static constexpr i64 most_steps = 1 << 16;

    // `t` steps are done, all rows are settled. Steps further back than `horizon` push no more.
    Series(double beta_1, double beta_2, int terms, i64 horizon, i64 t);

    // One more step, with c(t) and f(t). Cannot fail after `reserve`.
    void advance(double push, double decay);
    void reserve();

    // All rows are settled, and `t` steps are done: no step before this one is asked for again. As good as
    // new.
    void restart(i64 t);

    i64 t() const { return t_; }
    SeriesView view() const;

  private:
    i64 mask() const { return static_cast<i64>(products_.size()) - 1; }
    double* sums_of(i64 l) { return sums_.data() + (l & mask()) * terms_; }

    int terms_;
    i64 horizon_;
    i64 t_;
    i64 first_;                 // the oldest l that rows may have
    std::vector<double> push_;  // (horizon + 1, terms): beta_1^k (a_k - 1)^p
    std::vector<double> sums_;
    std::vector<Product> products_;
    Powers beta_1_;
    Powers beta_2_;
};

}  // namespace pyembed
