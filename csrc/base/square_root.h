#pragma once

#include <math.h>

#include "base/views.h"

namespace pyembed {

PYEMBED_INLINE float square_root(float x) {
    return ::sqrtf(x);
}
PYEMBED_INLINE double square_root(double x) {
    return ::sqrt(x);
}

}  // namespace pyembed
