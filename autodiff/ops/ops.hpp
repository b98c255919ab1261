#pragma once

#include "autodiff/ops/arithmetic.hpp"
#include "autodiff/ops/indexing.hpp"
#include "autodiff/ops/linear.hpp"
#include "autodiff/ops/logic.hpp"
#include "autodiff/ops/math.hpp"
#include "autodiff/ops/reduction.hpp"
#include "autodiff/ops/softmax.hpp"
#include "autodiff/ops/statistics.hpp"
#include "autodiff/ops/structure.hpp"
#include "autodiff/ops/updates.hpp"
