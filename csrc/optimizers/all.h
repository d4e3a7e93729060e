// All optimizers. A new one is a file like theirs, and a name in this list.
#pragma once

#include "optimizers/adagrad.h"
#include "optimizers/adam.h"
#include "optimizers/exact_adam.h"
#include "optimizers/ftrl.h"
#include "optimizers/lion.h"
#include "optimizers/momentum.h"
#include "optimizers/rms_prop.h"
#include "optimizers/row_wise_adagrad.h"
#include "optimizers/sgd.h"

namespace pyembed {

template <class... R>
struct RuleList {};

using AllRules = RuleList<Sgd, Momentum, Adagrad, RowWiseAdagrad, RmsProp, Adam, ExactAdam, Ftrl, Lion>;

}  // namespace pyembed
