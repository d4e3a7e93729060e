#include "words/writer.h"

#include <algorithm>
#include <atomic>
#include <new>

#include "base/threads.h"
#include "words/number.h"

namespace pyembed {
namespace {

template <class T>
void append_lines(const Texts& texts, Rows<const T> rows, i64 begin, i64 end, std::vector<char>& out) {
    char number[longest_number];
    for (i64 r = begin; r < end; ++r) {
        out.insert(out.end(), texts.begin(r), texts.begin(r) + texts.length(r));
        for (i64 d = 0; d < rows.dim; ++d) {
            out.push_back(' ');
            out.insert(out.end(), number, write_number(rows.row(r)[d], number));
        }
        out.push_back('\n');
    }
}

}  // namespace

template <class T>
std::vector<char> lines_of_rows(const Texts& texts, Rows<const T> rows) {
    constexpr i64 block_numbers = 1 << 13;
    const i64 block = std::max<i64>(1, block_numbers / std::max<i64>(rows.dim, 1));
    std::vector<std::vector<char>> blocks(static_cast<std::size_t>((texts.count + block - 1) / block));
    std::atomic<bool> is_refused{false};
    parallel_blocks(
        texts.count, block, threads_for(64 * texts.count * rows.dim), [&](i64 begin, i64 end, int) {
            try {
                append_lines(texts, rows, begin, end, blocks[static_cast<std::size_t>(begin / block)]);
            } catch (const std::bad_alloc&) {
                is_refused = true;
            }
        });
    if (is_refused) throw std::bad_alloc();
    std::vector<char> all;
    for (const std::vector<char>& lines : blocks) all.insert(all.end(), lines.begin(), lines.end());
    return all;
}

template std::vector<char> lines_of_rows(const Texts&, Rows<const float>);
template std::vector<char> lines_of_rows(const Texts&, Rows<const double>);

}  // namespace pyembed
