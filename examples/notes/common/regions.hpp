#pragma once

#include <vector>

#include "nn/nn.hpp"

namespace examples {

/// A stretch of a line on which a network with ReLU units is linear: from `begin` on, with this slope.
struct Piece {
  double begin;
  double slope;
};

/// The linear pieces of a network with one output along origin + t * direction, t in [from, to]; origin and
/// direction are float64 [inputs]. Found by walking, not by sampling: where the line stands, the engine's
/// derivative of every unit's pre-activation says where that unit will reach 0, and the nearest such place is
/// the next kink. Neighbours with the same slope count as one piece.
std::vector<Piece> pieces(const wengert::nn::Sequential& net, const wengert::Tensor& origin,
                          const wengert::Tensor& direction, double from, double to);

}  // namespace examples
