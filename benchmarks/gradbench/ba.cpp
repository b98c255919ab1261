// Bundle adjustment: the errors with which cameras see points, and their sparse Jacobian.
//
// An observation depends on its own camera (11 parameters: rotation as axis times angle, centre, focal
// length, principal point, two radial distortions), point and weight alone. So these 15 are tensors with an
// entry for each observation, everything is elementwise, and two pullbacks give all rows of the Jacobian.

#include <vector>

#include "benchmarks/gradbench/protocol.hpp"

using namespace wengert;

namespace {

constexpr std::int64_t camera_size = 11, block = camera_size + 3 + 1;

struct Vector {
  Tensor x, y, z;
};
Vector cross(const Vector& a, const Vector& b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

/// Rodrigues' formula, and its limit p + r x p where the angle is 0.
Vector rotate(const Vector& r, const Vector& p) {
  const Tensor angle_squared = square(r.x) + square(r.y) + square(r.z);
  const Tensor angle = sqrt(angle_squared), c = cos(angle), s = sin(angle), inverse = 1.0 / angle;
  const Vector w{r.x * inverse, r.y * inverse, r.z * inverse};
  const Vector turned = cross(w, p), limit = cross(r, p);
  const Tensor along = (w.x * p.x + w.y * p.y + w.z * p.z) * (1.0 - c), moves = angle_squared > 0.0;
  const auto one = [&](const Tensor& pi, const Tensor& ti, const Tensor& wi, const Tensor& li) {
    return where(moves, pi * c + ti * s + wi * along, pi + li);
  };
  return {one(p.x, turned.x, w.x, limit.x), one(p.y, turned.y, w.y, limit.y),
          one(p.z, turned.z, w.z, limit.z)};
}

struct Observations {
  std::int64_t cameras, points, count;
  Tensors parameters;  // 15 tensors [count]
  Tensor feature_x, feature_y;

  explicit Observations(const gradbench::Json& input)
      : cameras(input["n"].get<std::int64_t>()),
        points(input["m"].get<std::int64_t>()),
        count(input["p"].get<std::int64_t>()) {
    // The input has one camera, point, weight and feature to be repeated: observation i sees point i % m with
    // camera i % n. Repeated they are, as tensors that know nothing of it.
    const auto gathered = [&](double value, std::int64_t length) {
      std::vector<std::int64_t> positions;
      for (std::int64_t i = 0; i < count; ++i) positions.push_back(i % length);
      return take(full({length}, value, DType::float64), from_vector(positions));
    };
    for (const auto& value : input["cam"]) parameters.push_back(gathered(value.get<double>(), cameras));
    for (const auto& value : input["x"]) parameters.push_back(gathered(value.get<double>(), points));
    parameters.push_back(contiguous(full({count}, input["w"].get<double>(), DType::float64)));
    feature_x = full({count}, input["feat"][0].get<double>(), DType::float64);
    feature_y = full({count}, input["feat"][1].get<double>(), DType::float64);
  }

  /// [2, count]: weight * (projection - feature).
  Tensor errors(const Tensors& p) const {
    const Vector camera = rotate({p[0], p[1], p[2]}, {p[11] - p[3], p[12] - p[4], p[13] - p[5]});
    const Tensor u = camera.x / camera.z, v = camera.y / camera.z;
    const Tensor r = square(u) + square(v);
    const Tensor scale = p[6] * (1.0 + r * (p[9] + p[10] * r));
    return stack({p[14] * (u * scale + p[7] - feature_x), p[14] * (v * scale + p[8] - feature_y)});
  }
  /// [count]: how far weights are from 1.
  static Tensor weight_errors(const Tensor& w) { return 1.0 - square(w); }
};

gradbench::Prepared prepare_objective(const gradbench::Json& input) {
  const Observations observed(input);
  return gradbench::repeat(
      [=](const Tensors& p) {
        return Tensors{transpose(observed.errors(p)), Observations::weight_errors(p[14])};
      },
      observed.parameters,
      [](const Tensors& results) {
        const std::int64_t count = results[1].size();
        const gradbench::Json first = gradbench::nested(slice(results[0], {0}));
        return gradbench::Json{
            {"reproj_error", {{"elements", first}, {"repeated", count}}},
            {"w_err", {{"element", gradbench::nested(slice(results[1], {0}))}, {"repeated", count}}}};
      });
}

/// Rows as in compressed sparse row format: two for each observation with its block, then one for each
/// weight.
gradbench::Json sparse(const Observations& observed, const Tensor& values) {
  const std::int64_t p = observed.count;
  const std::int64_t point_column = camera_size * observed.cameras;
  const std::int64_t weight_column = point_column + 3 * observed.points;
  // The answer holds what belongs to the first observation, and the very last entry.
  gradbench::Json rows = gradbench::Json::array(), columns = rows, entries = rows;
  for (std::int64_t i = 0; i < 2 * block; ++i) {
    const std::int64_t j = i % block;
    rows.push_back(block * std::min(i, 2 * p) + std::max<std::int64_t>(i - 2 * p, 0));
    columns.push_back(j < camera_size ? j : j < block - 1 ? point_column + j - camera_size : weight_column);
    entries.push_back(slice(values, {i}).item<double>());
  }
  rows.push_back(2 * block * p + p);
  columns.push_back(weight_column + p - 1);
  entries.push_back(slice(values, {-1}).item<double>());
  return {{"rows", rows}, {"cols", columns}, {"vals", entries}};
}

gradbench::Prepared prepare_jacobian(const gradbench::Json& input) {
  const Observations observed(input);
  const Tensor ones_row = ones({1, observed.count}, DType::float64);
  const Tensor zeros_row = zeros({1, observed.count}, DType::float64);
  const Tensor first = concatenate({ones_row, zeros_row}), second = concatenate({zeros_row, ones_row});
  return gradbench::repeat(
      [=](const Tensors& p) {
        const auto [errors, pullback] = vjp([&](const Tensors& at) { return observed.errors(at); }, p);
        Tensors columns = pullback(first);
        for (const Tensor& column : pullback(second)) columns.push_back(column);
        const auto [weight_errors, weight_pullback] = vjp(Observations::weight_errors, {p[14]});
        const Tensor weights = weight_pullback(ones_like(weight_errors))[0];
        return Tensors{concatenate({reshape(stack(columns, 1), {-1}), weights})};
      },
      observed.parameters, [=](const Tensors& results) { return sparse(observed, results[0]); });
}

}  // namespace

int main(int argc, char** argv) {
  return gradbench::run(argc, argv, {{"objective", prepare_objective}, {"jacobian", prepare_jacobian}});
}
