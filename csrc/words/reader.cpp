#include "words/reader.h"

#include <algorithm>

namespace pyembed {
namespace {

constexpr std::size_t told_faults = 8;

}  // namespace

template <class T>
void Reader<T>::note(std::vector<Fault>&& faults, i64 count) {
    fault_count_ += count;
    for (Fault& fault : faults)
        if (faults_.size() < told_faults) faults_.push_back(std::move(fault));
    if (count > 0 && options_.faults == Faults::strict) is_done_ = true;
}

// As many as the bytes read so far had, for all bytes, and a little more.
template <class T>
i64 Reader<T>::rows_expected(i64 so_far) const {
    if (bytes_ == 0 || options_.file_bytes <= bytes_) return 0;
    const double share = static_cast<double>(options_.file_bytes) / static_cast<double>(bytes_);
    const double rows = 1.01 * share * static_cast<double>(so_far) + 64;
    return std::min(options_.limit, static_cast<i64>(std::min(rows, 1e15)));
}

template <class T>
void Reader<T>::drop_repeated(const i64* first_rows) {
    std::vector<bool> keep(static_cast<std::size_t>(rows_.count()));
    i64 next = 0;
    std::vector<Fault> found;
    i64 count = 0;
    for (i64 r = 0; r < rows_.count(); ++r) {
        const bool is_new = first_rows[r] == next;
        keep[static_cast<std::size_t>(r)] = is_new;
        next += is_new;
        if (is_new || count++ >= static_cast<i64>(told_faults)) continue;
        const Texts all = words_.texts();
        found.push_back({words_.lines.of(r), 1, "the word was there before",
                         std::vector<char>(all.begin(r), all.begin(r) + all.length(r))});
    }
    note(std::move(found), count);
    if (count == 0 || options_.faults == Faults::strict) return;
    rows_.filter(keep);
    words_.keep(keep);
}

template class Reader<float>;
template class Reader<double>;

}  // namespace pyembed
