// How the ids of a table that is dealt to several processes are read, in one that need not have their rows.
#pragma once

#include <memory>

#include "base/buffer.h"
#include "keys/owners.h"
#include "keys/partition.h"
#include "python/arguments.h"

namespace pyembed {

// A lookup's ids, and in which order they are asked of their owners.
class SortedIds {
  public:
    SortedIds(const Ids& ids, Partition parts);

    // Whether these are the same ids.
    bool are(const Ids& ids) const;
    const Partition& parts() const { return parts_; }

  private:
    Buffer copy_;
    Ids ids_;
    Partition parts_;
};

struct BoundOwners {
    IdPolicy policy;
    Owners owners;
    // Of the last lookup and the one before it, whose gradient may come when the next rows are fetched
    // already.
    std::shared_ptr<const SortedIds> last{};
    std::shared_ptr<const SortedIds> last_but_one{};

    // Those of a lookup that are the same ids, or null.
    std::shared_ptr<const SortedIds> sorted(const Ids& ids) const {
        for (const auto& known : {last, last_but_one})
            if (known && known->are(ids)) return known;
        return nullptr;
    }
};

}  // namespace pyembed
