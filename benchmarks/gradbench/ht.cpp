// Hand tracking: the distances between measured points and a hand model in the pose theta, and their
// Jacobian.
//
// theta: rotation (axis times angle) and position of the hand, then for each finger bend and spread of its
// first joint and bends of the next two. Each vertex follows several bones with weights. With `us`, a
// measured point belongs to a place inside a triangle of vertices instead of a vertex, and its two
// coordinates there are parameters of its own.
//
// Only the transforms of the bones depend on theta in an interesting way. What follows, the positions of
// vertices and points, is linear in them, so one product takes all columns of the transforms' Jacobian there.

#include <vector>

#include "benchmarks/gradbench/protocol.hpp"

using namespace wengert;

namespace {

class Hand {
 public:
  explicit Hand(const gradbench::Json& input) {
    const gradbench::Json &data = input["data"], &model = data["model"];
    const auto parents = model["parents"].get<std::vector<std::int64_t>>();
    const auto bones = static_cast<std::int64_t>(parents.size());

    // By generations, each of which is one batch of products with the one before.
    std::vector<std::int64_t> order;
    for (std::vector<std::int64_t> generation{-1}; !generation.empty();) {
      std::vector<std::int64_t> children, their_parents;
      for (std::size_t i = 0; i < generation.size(); ++i)
        for (std::int64_t b = 0; b < bones; ++b)
          if (parents[static_cast<std::size_t>(b)] == generation[i]) {
            children.push_back(b);
            their_parents.push_back(static_cast<std::int64_t>(i));
          }
      const auto first = static_cast<std::int64_t>(order.size());
      order.insert(order.end(), children.begin(), children.end());
      if (!children.empty())
        generations_.push_back(
            {Slice(first, static_cast<std::int64_t>(order.size())), from_vector(their_parents)});
      generation = children;
    }
    const Tensor ordered = from_vector(order);
    relatives_ = take(gradbench::numbers(model["base_relatives"]), ordered);
    inverses_ = take(gradbench::numbers(model["inverse_base_absolutes"]), ordered);

    // Vertex v is the sum over bones b of weights[v, b] T_b positions[v], moved by the hand's position.
    const Tensor weights = take(gradbench::numbers(model["weights"]), ordered, 1);  // [vertices, bones]
    const Tensor positions = gradbench::numbers(model["base_positions"]);           // [vertices, 4]
    const Tensor blend = reshape(expand_dims(weights, 2) * expand_dims(positions, 1), {-1, 4 * bones});
    skin_ = concatenate({blend, ones({blend.shape()[0], 1}, DType::float64)}, 1);

    // Where the angles of bone b stand in (theta, 0): about x, z, y. After the wrist, each finger has four
    // bones, of which the last three move.
    const auto zero = static_cast<std::int64_t>(input["theta"].size());
    std::vector<std::int64_t> angles(static_cast<std::size_t>(3 * bones), zero);
    std::int64_t next = 6;
    for (int finger = 0; finger < 5; ++finger)
      for (int joint = 0; joint < 3; ++joint) {
        const auto bone = static_cast<std::size_t>(2 + 4 * finger + joint);
        angles[3 * bone] = next++;
        if (joint == 0) angles[3 * bone + 1] = next++;
      }
    angles_ = take(from_span<std::int64_t>(angles, {bones, 3}), ordered);
    mirror_ = tensor({model["is_mirrored"].get<bool>() ? -1.0 : 1.0, 1.0, 1.0}, DType::float64);

    points_ = gradbench::numbers(data["points"]);
    const Tensor correspondences = gradbench::integers(data["correspondences"]);
    if (!input["us"].empty()) {
      const Tensor corners = take(gradbench::integers(model["triangles"]), correspondences);  // [n, 3]
      for (int i = 0; i < 3; ++i) corners_.push_back(contiguous(slice(corners, 1, i)));
    } else {
      skin_ = take(skin_, correspondences);  // no other vertex matters
    }
  }

  /// [3 points]
  Tensor errors(const Tensor& theta, const Tensor& us) const {
    return reshape(points_ - placed(matmul(skin_, transforms(theta)), us), {-1});
  }

  /// Columns: the point's own two coordinates, where it has some, then theta.
  Tensor jacobian(const Tensor& theta, const Tensor& us) const {
    const auto parts = [this](const Tensor& pose) { return transforms(pose); };
    const Tensor by_theta =
        wengert::jacobian(parts, JacobianMode::forward)(theta);  // [4 bones + 1, 3, theta]
    const Tensor moves = matmul(skin_, reshape(by_theta, {by_theta.shape()[0], -1}));
    Tensor all = reshape(placed(moves, us), {-1, 3, theta.size()});
    if (!corners_.empty()) {
      // Of a point by its own two: that of all of them by a shift.
      const Tensor vertices = matmul(skin_, transforms(theta));
      const auto shifted = [&](const Tensor& shift) { return placed(vertices, us + shift); };
      const Tensor by_us =
          wengert::jacobian(shifted, JacobianMode::forward)(zeros({2}, DType::float64));  // [points, 3, 2]
      all = concatenate({by_us, all}, 2);
    }
    return reshape(-all, {points_.size(), -1});
  }

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

  /// Every bone's three rows as columns, then the hand's position: [4 bones + 1, 3].
  Tensor transforms(const Tensor& pose) const {
    const Tensor angles = take(concatenate({pose, zeros({1}, DType::float64)}), angles_);
    // A relative transform turns the bone and then moves it: only its first three columns change.
    const Tensor turned = matmul(slice(relatives_, 2, Slice(0, 3)), euler(angles));
    const Tensor relatives = concatenate({turned, slice(relatives_, 2, Slice(3, 4))}, 2);
    Tensors absolutes;
    Tensor last;
    for (const Generation& generation : generations_) {
      const Tensor own = slice(relatives, 0, generation.bones);
      last = last.defined() ? matmul(take(last, generation.parents), own) : own;
      absolutes.push_back(last);
    }
    const Tensor bones = slice(matmul(concatenate(absolutes), inverses_), 1, Slice(0, 3));
    const Tensor columns = reshape(swapaxes(bones, 1, 2), {-1, 3});
    const Tensor turn = rotation(slice(pose, {Slice(0, 3)}));
    return concatenate({matmul(columns * mirror_, turn, {.transpose_b = true}),
                        reshape(slice(pose, {Slice(3, 6)}), {1, 3})});
  }

  /// What the vertices have at the places of the points, in triangles at the coordinates us. Linear in `all`.
  Tensor placed(const Tensor& all, const Tensor& us) const {
    if (corners_.empty()) return all;
    const Tensor u = slice(us, 1, Slice(0, 1)), v = slice(us, 1, Slice(1, 2));
    return u * take(all, corners_[0]) + v * take(all, corners_[1]) + (1.0 - u - v) * take(all, corners_[2]);
  }

  struct Generation {
    Slice bones;
    Tensor parents;  // places in the generation before
  };
  std::vector<Generation> generations_;
  Tensor relatives_, inverses_, skin_, angles_, mirror_, points_;
  Tensors corners_;
};

gradbench::Prepared prepare(const gradbench::Json& input, bool derivative) {
  const Hand hand(input);
  const bool has_us = !input["us"].empty();
  return gradbench::repeat(
      [=](const Tensors& in) {
        return Tensors{derivative ? hand.jacobian(in[0], in[1]) : hand.errors(in[0], in[1])};
      },
      {gradbench::numbers(input["theta"]),
       has_us ? gradbench::numbers(input["us"]) : zeros({0, 2}, DType::float64)});
}

}  // namespace

int main(int argc, char** argv) { return gradbench::run(argc, argv, "objective", "jacobian", prepare); }
