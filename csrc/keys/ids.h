// What an id means: which row of the table, or none.
#pragma once

#include <optional>

#include "base/views.h"

namespace pyembed {

// Ids (count,), contiguous, read where they lie in one of three integer types.
enum class IdType { int32, int64, uint64 };

struct Ids {
    const void* data;
    i64 count;
    IdType type;
};

// What an id outside the table does; the names stand in the order of the enumeration.
enum class OutOfRange { raise, clip, zero, wrap };
constexpr const char* out_of_range_names[] = {"raise", "clip", "zero", "wrap"};

// How a table of `rows` rows reads ids. `padding` is a row that counts for nothing, or no_row.
struct IdPolicy {
    i64 rows;
    OutOfRange out_of_range = OutOfRange::raise;
    i64 padding = no_row;

    // Looked up as it is, the padding row is a row like any other.
    IdPolicy without_padding() const { return {rows, out_of_range, no_row}; }
};

// The first id outside the table, where that is an error.
struct BadId {
    i64 position;
    u64 bits;  // the id, widened; to be read as signed unless the ids are uint64
    bool is_unsigned;
};

// Reads every id once, before anything is written. Nothing is refused unless `policy` says raise.
std::optional<BadId> find_bad_id(const Ids& ids, const IdPolicy& policy);

// As above for the ids [begin, end), in the calling thread.
std::optional<BadId> find_bad_id(const Ids& ids, const IdPolicy& policy, i64 begin, i64 end);

// rows (end - begin,): the row of each id in [begin, end), no_row for an id that stands for a row of zeros.
// Ids that find_bad_id would refuse become no_row, so that a caller who changes ids under us reads zeros.
void resolve_ids(const Ids& ids, const IdPolicy& policy, i64 begin, i64 end, i64* rows);

}  // namespace pyembed
