// Compiled once per instruction set, with PYEMBED_ISA its name. Everything included from this folder is in an
// anonymous namespace: the same names with other instructions must never meet in the linker.
#if defined(_MSC_VER)
#pragma fp_contract(off)
#endif

#include "exact_adam/kernels.h"
#include "base/kernel.h"
#include "gradient/kernels.h"
#include "lookup/kernels.h"
#include "nearest/kernels.h"
#include "optimizers/all.h"
#include "optimizers/kernels.h"
#include "simd/add_rows_atomically.h"
#include "simd/add_segments.h"
#include "simd/dot_rows.h"
#include "simd/instruction_set.h"
#include "simd/max_rows.h"
#include "simd/near_rows.h"
#include "simd/pool_rows.h"
#include "simd/row_norms.h"
#include "simd/scale_rows.h"
#include "simd/settle_rows.h"
#include "simd/step_segments.h"
#include "simd/store_segments.h"
#include "simd/stream_rows.h"

namespace pyembed {
namespace {

template <class K>
void use(typename K::Function* function) {
    KernelInUse<K>::function = function;
}

// Loops over what arithmetic is done in.
template <class T>
void use_arithmetic() {
    use<SettleCopies<T>>(settle_copies<T>);
    use<AddRowsAtomically<T>>(add_rows_atomically<T>);
    use<CopySummands<T>>(copy_summands<T>);
    use<SumSummands<T>>(sum_summands<T>);
    use<StoreSegments<T>>(store_segments<T>);
    use<AddSegments<T>>(add_segments<T>);
}

template <class E, class... R>
void use_rules(RuleList<R...>) {
    (use<StepSegments<E, R>>(step_segments<E, R>), ...);
}

// Loops over rows of a table.
template <class E>
void use_element() {
    use<CopyRows<E>>(copy_rows<E>);
    use<StreamRows<E>>(stream_rows<E>);
    use<PoolRows<E>>(pool_rows<E>);
    use<MaxRows<E>>(max_rows<E>);
    use<DotRows<E>>(dot_rows<E>);
    use<RowNorms<E>>(row_norms<E>);
    use<ScaleRows<E>>(scale_rows<E>);
    use<QuickNorms<E>>(quick_norms<E>);
    use<ScreenRows<E>>(screen_rows<E>);
    use<ScreenForOne<E>>(screen_for_one<E>);
    use<Cosines<E>>(cosines<E>);
    use<SettleRows<E>>(settle_rows<E>);
    use_rules<E>(AllRules());
}

}  // namespace

namespace PYEMBED_ISA {

void use_key_kernels();   // those of key_kernels.cpp
void use_word_kernels();  // those of word_kernels.cpp

void use_kernels() {
#define PYEMBED_USE_ARITHMETIC(T) use_arithmetic<T>();
#define PYEMBED_USE_ELEMENT(E) use_element<E>();
    PYEMBED_FOR_ARITHMETIC(PYEMBED_USE_ARITHMETIC)
    PYEMBED_FOR_ELEMENTS(PYEMBED_USE_ELEMENT)
    use_key_kernels();
    use_word_kernels();
}

}  // namespace PYEMBED_ISA
}  // namespace pyembed
