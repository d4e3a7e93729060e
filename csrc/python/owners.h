// How the ids of a table that is dealt to several processes are read, in one that need not have their rows.
#pragma once

#include "keys/owners.h"
#include "python/arguments.h"

namespace pyembed {

struct BoundOwners {
    IdPolicy policy;
    Owners owners;
};

}  // namespace pyembed
