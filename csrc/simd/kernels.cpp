// Compiled once per instruction set, with PYEMBED_ISA its name. Everything included from this folder is in an
// anonymous namespace: the same names with other instructions must never meet in the linker.
#if defined(_MSC_VER)
#pragma fp_contract(off)
#endif

#include "../kernels.h"

#include "add_rows_atomically.h"
#include "add_segments.h"
#include "dot_rows.h"
#include "max_rows.h"
#include "pool_rows.h"
#include "row_norms.h"
#include "scale_rows.h"
#include "step_segments.h"
#include "store_segments.h"
#include "stream_rows.h"

#define PYEMBED_STRING_OF(x) #x
#define PYEMBED_STRING(x) PYEMBED_STRING_OF(x)

namespace pyembed {
namespace {

template <class T>
constexpr Kernels<T> kernels_of = {
    copy_rows<T>,
    stream_rows<T>,
    pool_rows<T>,
    max_rows<T>,
    dot_rows<T>,
    row_norms<T>,
    scale_rows<T>,
    settle_rows<T>,
    settle_copies<T>,
    add_rows_atomically<T>,
    copy_sources<T>,
    sum_sources<T>,
    store_segments<T>,
    add_segments<T>,
    step_segments<T, Sgd<T>>,
    step_segments<T, Momentum<T>>,
    step_segments<T, Adagrad<T>>,
    step_segments<T, RowWiseAdagrad<T>>,
    step_segments<T, RmsProp<T>>,
    step_segments<T, Adam<T>>,
    step_segments<T, ExactAdam<T>>,
};

}  // namespace

namespace PYEMBED_ISA {
extern const KernelSet kernel_set;
const KernelSet kernel_set = {PYEMBED_STRING(PYEMBED_ISA), kernels_of<float>, kernels_of<double>};
}  // namespace PYEMBED_ISA

}  // namespace pyembed
