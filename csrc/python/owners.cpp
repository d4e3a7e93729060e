// Tables that are dealt to several processes: which rows a batch asks of which.
#include "python/owners.h"

#include <cstring>

#include "base/threads.h"
#include "keys/partition.h"
#include "lookup/dropout.h"
#include "python/bind.h"
#include "python/no_gil.h"

namespace pyembed {
namespace {

std::size_t bytes_of(const Ids& ids) {
    return static_cast<std::size_t>(ids.count) *
           (ids.type == IdType::int32 ? sizeof(std::int32_t) : sizeof(std::int64_t));
}

}  // namespace

SortedIds::SortedIds(const Ids& ids, Partition parts)
    : copy_(bytes_of(ids)), ids_{copy_.as<void>(), ids.count, ids.type}, parts_(std::move(parts)) {
    if (ids.count > 0) std::memcpy(copy_.as<void>(), ids.data, bytes_of(ids));
}

bool SortedIds::are(const Ids& ids) const {
    return ids.count == ids_.count && ids.type == ids_.type &&
           (ids.count == 0 || std::memcmp(ids.data, ids_.data, bytes_of(ids)) == 0);
}

namespace {

BoundOwners make_owners(i64 rows, i64 ranks, i64 rank, const std::string& out_of_range,
                        std::optional<i64> padding) {
    if (rows < 1) throw py::value_error("rows must be above 0");
    if (rank < 0 || rank >= ranks) throw py::value_error("rank must be from 0 to ranks - 1");
    return {{rows, out_of_range_argument(out_of_range), padding.value_or(no_row)}, Owners(rows, ranks, rank)};
}

// rows (n,) of ids (n,); those that are dropped become no_row.
void resolve(const Ids& ids, const IdPolicy& policy, const Dropout& dropout, i64* rows) {
    parallel_blocks(ids.count, 8192, threads_for(ids.count * 16), [&](i64 begin, i64 end, int) {
        resolve_ids(ids, policy, begin, end, rows + begin);
        dropout.drop(rows + begin, end - begin);
    });
}

// Those of dropped rows become no_row too, with the rows still asked for.
void forget_dropped(const Ids& ids, const IdPolicy& policy, const Dropout& dropout, i64* positions) {
    if (dropout.rate == 0.0) return;
    const Buffer rows = Buffer::of<i64>(ids.count);
    resolve(ids, policy, dropout, rows.as<i64>());
    for (i64 i = 0; i < ids.count; ++i)
        if (rows.as<i64>()[i] == no_row) positions[i] = no_row;
}

// (positions of ids' shape, local rows (count,), counts (ranks,)). Raises IndexError where an id is bad.
py::tuple partition(BoundOwners& of, py::handle object, bool has_padding, double rate, u64 key,
                    bool asks_for_dropped) {
    const IdsArgument ids = ids_argument(object);
    const IdPolicy policy = has_padding ? of.policy : of.policy.without_padding();
    if (const auto bad = find_bad_id(ids.ids, policy)) raise_bad_id(*bad, ids.shape(), policy.rows);
    const Dropout dropout{rate, key};
    py::array positions = new_numbers(ids.shape());
    i64* const to = static_cast<i64*>(positions.mutable_data());
    std::optional<Partition> parts;
    {
        const NoGil no_gil;
        resolve(ids.ids, policy, asks_for_dropped ? Dropout{} : dropout, to);
        parts.emplace(to, ids.ids.count, of.owners);
        if (asks_for_dropped) forget_dropped(ids.ids, policy, dropout, to);
    }
    py::array local = new_numbers({parts->count()});
    py::array_t<i64> counts(of.owners.ranks());
    parts->write(static_cast<i64*>(local.mutable_data()), counts.mutable_data());
    if (rate == 0.0) {
        of.last_but_one = std::move(of.last);
        of.last = std::make_shared<const SortedIds>(ids.ids, *std::move(parts));
    }
    return py::make_tuple(std::move(positions), std::move(local), std::move(counts));
}

}  // namespace

void bind_owners(py::module_& module) {
    py::class_<BoundOwners>(module, "Owners")
        .def(py::init(&make_owners), py::arg("rows"), py::arg("ranks") = 1, py::arg("rank") = 0,
             py::arg("out_of_range") = "raise", py::arg("padding_idx") = py::none())
        .def("partition", partition, py::arg("ids"), py::arg("has_padding") = false, py::arg("dropout") = 0.0,
             py::arg("key") = 0, py::arg("asks_for_dropped") = false);

    module.def(
        "empty",
        [](const Shape& shape, const std::string& dtype) -> py::array {
            if (dtype == "int64") return new_numbers(shape);
            py::array made;
            with_arithmetic(dtype, [&](auto zero) { made = new_rows<decltype(zero)>(shape).array; });
            return made;
        },
        py::arg("shape"), py::arg("dtype"));
}

}  // namespace pyembed
