#pragma once

#include <cstdint>

#include "autodiff/tensor/tensor.hpp"

/// \file
/// Random tensors. The generators are counter-based (Philox4x32-10): an element is a function of the seed,
/// the number of the draw and its position, computed with exactly rounded arithmetic only, so a seed gives
/// the same numbers on every machine, compiler, instruction set and thread count.

namespace wengert::random {

/// Where a generator stands: all there is to save in order to go on, or to repeat a draw.
struct State {
  std::uint64_t seed = 0;
  std::uint64_t draws = 0;  ///< tensors drawn since the seed was set

  friend bool operator==(const State&, const State&) = default;
};

/// A source of random tensors of one's own. Every call is one draw, whatever it draws. A value: a copy goes
/// on from the same place. One object must not be used by several threads at once.
///
///     random::Generator generator(7);
///     Tensor x = generator.normal({2, 3});
class Generator {
 public:
  explicit Generator(std::uint64_t seed = 0) : state_{seed, 0} {}
  explicit Generator(const State& state) : state_(state) {}

  const State& state() const { return state_; }
  void set_state(const State& state) { state_ = state; }

  /// Each member draws what the free function of its name describes.
  Tensor uniform(const Shape& shape, double low = 0, double high = 1, DType dtype = DType::float32,
                 SourceLocation where = SourceLocation::current());
  Tensor normal(const Shape& shape, double mean = 0, double stddev = 1, DType dtype = DType::float32,
                SourceLocation where = SourceLocation::current());
  Tensor bernoulli(double p, const Shape& shape, SourceLocation where = SourceLocation::current());
  Tensor integers(std::int64_t low, std::int64_t high, const Shape& shape,
                  SourceLocation where = SourceLocation::current());
  Tensor permutation(std::int64_t n, SourceLocation where = SourceLocation::current());
  Tensor uniform(const Shape& shape, DType dtype, SourceLocation where = SourceLocation::current()) {
    return uniform(shape, 0, 1, dtype, where);
  }
  Tensor normal(const Shape& shape, DType dtype, SourceLocation where = SourceLocation::current()) {
    return normal(shape, 0, 1, dtype, where);
  }

 private:
  State state_;
};

// The generator of the process, behind operators of the table: captured functions draw at every call.
// Its draws may come from any thread; they are numbered in the order in which
// they are asked for. It starts as seed(0) does: a program that sets no seed repeats itself.

/// Starts the process-wide generator over. Example: random::seed(42).
void seed(std::uint64_t seed);
/// Where the process-wide generator stands.
State state();
void set_state(const State& state);

/// Independent values, uniform in [low, high). float32 values come from 24 random bits, float64 values from
/// 53. dtype is float32 or float64 (DTypeError); low <= high, both and their difference finite (ValueError);
/// low == high gives that value.
/// Example: Tensor x = random::uniform({2, 3}, -1.0, 1.0).
Tensor uniform(const Shape& shape, double low = 0, double high = 1, DType dtype = DType::float32,
               SourceLocation where = SourceLocation::current());
Tensor uniform(const Shape& shape, DType dtype, SourceLocation where = SourceLocation::current());

/// Independent normally distributed values, mean + stddev * z. z is the inverse of the normal distribution
/// function at a uniform position: |z| < 6.4 in float32 (32 random bits), < 8.3 in float64 (53 bits). dtype
/// is float32 or float64 (DTypeError); mean and stddev finite, stddev >= 0 (ValueError). Source: M. Wichura,
/// algorithm AS 241 (PPND16), Applied Statistics 37, 1988. Example: Tensor w = variable(random::normal({2,
/// 3})).
Tensor normal(const Shape& shape, double mean = 0, double stddev = 1, DType dtype = DType::float32,
              SourceLocation where = SourceLocation::current());
Tensor normal(const Shape& shape, DType dtype, SourceLocation where = SourceLocation::current());

/// Independent bools, true with probability p (to the nearest multiple of 2^-32). 0 <= p <= 1 (ValueError).
/// Example: Tensor mask = random::bernoulli(0.5, {64, 100}).
Tensor bernoulli(double p, const Shape& shape, SourceLocation where = SourceLocation::current());

/// Independent int64 values, each of low, ..., high - 1 with the same probability, exactly. low < high
/// (ValueError). Source: D. Lemire, "Fast random integer generation in an interval", 2019.
/// Example: Tensor labels = random::integers(0, 10, {64}).
Tensor integers(std::int64_t low, std::int64_t high, const Shape& shape,
                SourceLocation where = SourceLocation::current());

/// The numbers 0, ..., n - 1 in random order, every order with the same probability: int64[n]. n >= 0
/// (ValueError). Example: Tensor order = random::permutation(60000).
Tensor permutation(std::int64_t n, SourceLocation where = SourceLocation::current());

// What the operators behind these functions are made of: the checks of their arguments, and draws of the
// process-wide generator into results that exist.
void check_uniform(double low, double high, DType dtype, const SourceLocation& where);
void check_normal(double mean, double stddev, DType dtype, const SourceLocation& where);
void check_bernoulli(double p, const SourceLocation& where);
void check_integers(std::int64_t low, std::int64_t high, const SourceLocation& where);
void check_permutation(std::int64_t n, const SourceLocation& where);
void draw_uniform(wengert::detail::TensorImpl& out, double low, double high);
void draw_normal(wengert::detail::TensorImpl& out, double mean, double stddev);
void draw_bernoulli(wengert::detail::TensorImpl& out, double p);
void draw_integers(wengert::detail::TensorImpl& out, std::int64_t low, std::int64_t high);
void draw_permutation(wengert::detail::TensorImpl& out);

}  // namespace wengert::random
