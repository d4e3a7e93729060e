#include "exact_adam/series.h"

#include <algorithm>
#include <cmath>

namespace pyembed {

Powers::Powers(double base) : fine_(256), coarse_(Series::most_steps / 256 + 1) {
    fine_[0] = coarse_[0] = 1.0;
    for (std::size_t k = 1; k < fine_.size(); ++k) fine_[k] = fine_[k - 1] * base;
    for (std::size_t k = 1; k < coarse_.size(); ++k) coarse_[k] = coarse_[k - 1] * (fine_.back() * base);
}

Series::Series(double beta_1, double beta_2, int terms, i64 horizon, i64 t)
    : terms_(terms), horizon_(horizon), t_(t), first_(t), beta_1_(beta_1), beta_2_(beta_2) {
    double weight = 1.0;
    double v_left = 1.0;
    for (i64 k = 0; k <= horizon; ++k) {
        double term = weight;
        for (int p = 0; p < terms; ++p) {
            push_.push_back(term);
            term *= std::sqrt(v_left) - 1.0;
        }
        weight *= beta_1;
        v_left *= beta_2;
    }
    products_.resize(1024);
    sums_.resize(products_.size() * static_cast<std::size_t>(terms));
}

void Series::reserve() {
    const i64 capacity = static_cast<i64>(products_.size());
    if (t_ + 1 - first_ < capacity || capacity == most_steps) return;
    std::vector<Product> products(products_.size() * 2);
    std::vector<double> sums(sums_.size() * 2);
    const i64 wider = static_cast<i64>(products.size()) - 1;
    for (i64 l = first_; l <= t_; ++l) {
        products[static_cast<std::size_t>(l & wider)] = products_[static_cast<std::size_t>(l & mask())];
        std::copy_n(sums_of(l), terms_, sums.data() + (l & wider) * terms_);
    }
    products_.swap(products);
    sums_.swap(sums);
}

void Series::advance(double push, double decay) {
    const Product before = products_[static_cast<std::size_t>(t_ & mask())];
    ++t_;
    first_ = std::max(first_, t_ - mask());
    for (i64 k = 1; k <= std::min(horizon_, t_ - first_); ++k) {
        double* const sums = sums_of(t_ - k);
        const double* const pushes = push_.data() + k * terms_;
        for (int p = 0; p < terms_; ++p) sums[p] = decay * sums[p] + push * pushes[p];
    }
    std::fill_n(sums_of(t_), terms_, 0.0);
    int exponent = 0;
    const double mantissa = std::frexp(before.mantissa * decay, &exponent);
    products_[static_cast<std::size_t>(t_ & mask())] = {mantissa, before.exponent + exponent};
}

void Series::restart(i64 t) {
    first_ = t_ = t;
    products_[static_cast<std::size_t>(t_ & mask())] = Product{};
    std::fill_n(sums_of(t_), terms_, 0.0);
}

SeriesView Series::view() const {
    return {t_, horizon_, terms_, mask(), sums_.data(), products_.data(), beta_1_.view(), beta_2_.view()};
}

}  // namespace pyembed
