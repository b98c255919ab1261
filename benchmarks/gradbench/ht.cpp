// Hand tracking: the distances between measured points and a hand model in the pose theta, and their
// Jacobian.
//
// theta: rotation (axis times angle) and position of the hand, then for each finger bend and spread of its
// first joint and bends of the next two. Each vertex follows several bones with weights. With `us`, a
// measured point belongs to a place inside a triangle of vertices instead of a vertex, and its two
// coordinates there are parameters of its own.

#include <vector>

#include "benchmarks/gradbench/protocol.hpp"

using namespace wengert;

namespace {

class Hand {
 public:
  explicit Hand(const gradbench::Json& input) : theta(gradbench::numbers(input["theta"])) {
    const gradbench::Json &data = input["data"], &model = data["model"];
    parents_ = model["parents"].get<std::vector<std::int64_t>>();
    const auto bones = static_cast<std::int64_t>(parents_.size());
    relatives_ = gradbench::numbers(model["base_relatives"]);
    const Tensor inverses = gradbench::numbers(model["inverse_base_absolutes"]);
    for (std::int64_t i = 0; i < bones; ++i) inverses_.push_back(slice(inverses, {i}));

    // Vertex v is the sum over bones b of weights[v, b] T_b positions[v]: linear in the transforms T.
    const Tensor weights = gradbench::numbers(model["weights"]);           // [vertices, bones]
    const Tensor positions = gradbench::numbers(model["base_positions"]);  // [vertices, 4]
    skin_ = contiguous(reshape(expand_dims(weights, 2) * expand_dims(positions, 1), {-1, 4 * bones}));

    // Where the angles of bone b stand in (theta, 0): about x, z, y. After the wrist, each finger has four
    // bones, of which the last three move.
    const std::int64_t zero = theta.size();
    std::vector<std::int64_t> angles(static_cast<std::size_t>(3 * bones), zero);
    std::int64_t next = 6;
    for (int finger = 0; finger < 5; ++finger)
      for (int joint = 0; joint < 3; ++joint) {
        const auto bone = static_cast<std::size_t>(2 + 4 * finger + joint);
        angles[3 * bone] = next++;
        if (joint == 0) angles[3 * bone + 1] = next++;
      }
    angles_ = from_span<std::int64_t>(angles, {bones, 3});
    mirror_ = tensor({model["is_mirrored"].get<bool>() ? -1.0 : 1.0, 1.0, 1.0}, DType::float64);

    points_ = gradbench::numbers(data["points"]);
    const Tensor correspondences = gradbench::integers(data["correspondences"]);
    if (!input["us"].empty()) {
      us_ = gradbench::numbers(input["us"]);
      const Tensor corners = take(gradbench::integers(model["triangles"]), correspondences);  // [n, 3]
      for (int i = 0; i < 3; ++i) vertices_.push_back(contiguous(slice(corners, 1, i)));
    } else {
      vertices_.push_back(correspondences);
    }
  }

  std::int64_t rows() const { return points_.size(); }
  bool has_us() const { return us_.defined(); }

  /// [points, 3]. `shift` [2] is added to all coordinates inside triangles: a derivative by it is that of
  /// each point by its own.
  Tensor errors(const Tensor& pose, const Tensor& shift) const {
    const Tensor vertices = vertex_positions(pose);
    if (!has_us()) return points_ - take(vertices, vertices_[0]);
    const Tensor us = us_ + shift, u = slice(us, 1, Slice(0, 1)), v = slice(us, 1, Slice(1, 2));
    return points_ - (u * take(vertices, vertices_[0]) + v * take(vertices, vertices_[1]) +
                      (1.0 - u - v) * take(vertices, vertices_[2]));
  }

  const Tensor theta;

 private:
  /// Rotations about z, y and x, one after the other: [bones, 3, 3] from angles [bones, 3] about x, z, y.
  static Tensor euler(const Tensor& angles) {
    const Tensor s = sin(angles), c = cos(angles);
    const auto column = [](const Tensor& t, int i) { return slice(t, 1, i); };
    const Tensor sx = column(s, 0), sz = column(s, 1), sy = column(s, 2);
    const Tensor cx = column(c, 0), cz = column(c, 1), cy = column(c, 2);
    const Tensor szsy = sz * sy, czsy = cz * sy;
    const Tensors entries{cz * cy,
                          czsy * sx - sz * cx,
                          czsy * cx + sz * sx,
                          sz * cy,
                          szsy * sx + cz * cx,
                          szsy * cx - cz * sx,
                          -sy,
                          cy * sx,
                          cy * cx};
    return reshape(stack(entries, 1), {-1, 3, 3});
  }

  /// The matrix of a rotation given as axis times angle; the identity where the angle is next to nothing.
  static Tensor rotation(const Tensor& r) {
    const Tensor identity = eye(3, DType::float64);
    const Tensor angle = sqrt(sum(square(r))), axis = r / angle, s = sin(angle), c = cos(angle);
    const Tensor x = slice(axis, {0}), y = slice(axis, {1}), z = slice(axis, {2}), o = zeros_like(x);
    const Tensor skew = reshape(stack({o, -z, y, z, o, -x, -y, x, o}), {3, 3});
    const Tensor outer = expand_dims(axis, 1) * expand_dims(axis, 0);
    return where(angle < 1e-4, identity, outer + (identity - outer) * c + skew * s);
  }

  Tensor vertex_positions(const Tensor& pose) const {
    const std::int64_t bones = static_cast<std::int64_t>(parents_.size());
    const Tensor angles = take(concatenate({pose, zeros({1}, DType::float64)}), angles_);
    // A relative transform turns the bone and then moves it: only its first three columns change.
    const Tensor turned = matmul(slice(relatives_, 2, Slice(0, 3)), euler(angles));
    const Tensor relatives = concatenate({turned, slice(relatives_, 2, Slice(3, 4))}, 2);
    std::vector<Tensor> absolutes;
    Tensors transforms;
    for (std::int64_t i = 0; i < bones; ++i) {
      const std::int64_t parent = parents_[static_cast<std::size_t>(i)];
      const Tensor relative = slice(relatives, {i});
      absolutes.push_back(parent < 0 ? relative
                                     : matmul(absolutes[static_cast<std::size_t>(parent)], relative));
      transforms.push_back(matmul(absolutes.back(), inverses_[static_cast<std::size_t>(i)]));
    }
    // [4 bones, 3]: every bone's three rows as columns.
    const Tensor columns = reshape(swapaxes(slice(stack(transforms), 1, Slice(0, 3)), 1, 2), {4 * bones, 3});
    const Tensor global =
        matmul(columns * mirror_, rotation(slice(pose, {Slice(0, 3)})), {.transpose_b = true});
    return matmul(skin_, global) + slice(pose, {Slice(3, 6)});
  }

  std::vector<std::int64_t> parents_;
  Tensor relatives_, skin_, angles_, mirror_, points_, us_;
  std::vector<Tensor> inverses_, vertices_;
};

gradbench::Prepared prepare_objective(const gradbench::Json& input) {
  const Hand hand(input);
  return gradbench::repeat(
      [=](const Tensors& in) {
        return Tensors{reshape(hand.errors(in[0], zeros({2}, DType::float64)), {-1})};
      },
      {hand.theta});
}

gradbench::Prepared prepare_jacobian(const gradbench::Json& input) {
  const Hand hand(input);
  const std::int64_t extra = hand.has_us() ? 2 : 0;
  // Columns: the point's own two, then theta. Fewer than rows: forward mode.
  const auto errors = [=](const Tensor& all) {
    const Tensor shift = extra == 0 ? zeros({2}, DType::float64) : slice(all, {Slice(0, extra)});
    return hand.errors(slice(all, {Slice(extra, Slice::none)}), shift);
  };
  return gradbench::repeat(
      [=](const Tensors& in) {
        return Tensors{reshape(wengert::jacobian(errors, JacobianMode::forward)(in[0]), {hand.rows(), -1})};
      },
      {concatenate({zeros({extra}, DType::float64), hand.theta})});
}

}  // namespace

int main(int argc, char** argv) {
  return gradbench::run(argc, argv, {{"objective", prepare_objective}, {"jacobian", prepare_jacobian}});
}
