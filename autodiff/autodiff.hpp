#pragma once

/// \file
/// The engine: tensors, operators, gradients. Include <autodiff/operator.hpp> to define operators of your own
/// and <autodiff/interop/xtensor.hpp> to exchange data with xtensor.

#include "autodiff/backward/gradients.hpp"
#include "autodiff/build_info.hpp"
#include "autodiff/gradcheck/gradcheck.hpp"
#include "autodiff/graph/print.hpp"
#include "autodiff/graph/recording.hpp"
#include "autodiff/graph/state.hpp"
#include "autodiff/kernels/threads.hpp"
#include "autodiff/ops/ops.hpp"
#include "autodiff/program/capture.hpp"
#include "autodiff/program/loaded_program.hpp"
#include "autodiff/tensor/creation.hpp"
#include "autodiff/tensor/random.hpp"
#include "autodiff/tensor/tensor.hpp"
#include "autodiff/transforms/transforms.hpp"
