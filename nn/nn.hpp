#pragma once

/// \file
/// Networks: modules, losses, optimizers, data, files, progress. Programs print their results with {fmt}.

#include <fmt/core.h>

#include "nn/buffer.hpp"
#include "nn/data/dataset.hpp"
#include "nn/data/idx.hpp"
#include "nn/data/loader.hpp"
#include "nn/data/mnist1d.hpp"
#include "nn/initializers.hpp"
#include "nn/layers/activations.hpp"
#include "nn/layers/linear.hpp"
#include "nn/layers/normalization.hpp"
#include "nn/layers/residual.hpp"
#include "nn/losses.hpp"
#include "nn/module.hpp"
#include "nn/optimizers/adam.hpp"
#include "nn/optimizers/sgd.hpp"
#include "nn/parameter.hpp"
#include "nn/progress.hpp"
#include "nn/serialization.hpp"
