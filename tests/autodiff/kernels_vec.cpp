// Vec's functions against long double, the special values of IEEE 754, and the dependence probe.

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "autodiff/kernels/vec.hpp"

using namespace wengert::kernels;

namespace {

using Exact = long double;

// Distance from the exact value in units of the last place of the rounded one.
template <class T>
double ulps(T got, Exact exact) {
  const T rounded = static_cast<T>(exact);
  if (std::isnan(rounded) || std::isnan(got)) return std::isnan(rounded) && std::isnan(got) ? 0 : 1e9;
  if (std::isinf(rounded) || std::isinf(got)) return rounded == got ? 0 : 1e9;
  const T magnitude = std::fabs(rounded),
          next = std::nextafter(magnitude, std::numeric_limits<T>::infinity());
  const Exact unit =
      std::isinf(next) ? Exact(magnitude) - std::nextafter(magnitude, T(0)) : Exact(next) - magnitude;
  return static_cast<double>(std::fabs(Exact(got) - exact) / unit);
}

template <class T>
struct Sweep {
  std::vector<T> x;
  Sweep(double low, double high, int count = 20000) {
    std::mt19937_64 bits(7);
    std::uniform_real_distribution<double> uniform(low, high);
    while (static_cast<int>(x.size()) < count) x.push_back(static_cast<T>(uniform(bits)));
  }
  /// Magnitudes from the smallest subnormal number to `high`, evenly in the exponent; both signs on demand.
  static Sweep logarithmic(double high, bool both_signs) {
    Sweep s(0, 1);
    const double low = std::numeric_limits<T>::denorm_min();
    for (std::size_t i = 0; i < s.x.size(); ++i) {
      const double t = s.x[i];
      s.x[i] = static_cast<T>(std::exp(std::log(low) * (1 - t) + std::log(high) * t));
      if (both_signs && i % 2) s.x[i] = -s.x[i];
    }
    return s;
  }
};

template <class T, class F, class Reference>
void check_function(const char* name, const Sweep<T>& sweep, double bound, F f, Reference reference) {
  using V = Native<T>;
  double worst = 0;
  T at = 0;
  T in[V::width], out[V::width];
  for (std::size_t i = 0; i + V::width <= sweep.x.size(); i += V::width) {
    for (int k = 0; k < V::width; ++k) in[k] = sweep.x[i + k];
    f(V::load(in)).store(out);
    for (int k = 0; k < V::width; ++k) {
      const double error = ulps(out[k], reference(Exact(in[k])));
      if (!(error <= worst)) worst = error, at = in[k];
    }
  }
  INFO(std::string(name), " at ", static_cast<double>(at));
  CHECK(worst <= bound);
}

template <class T, class F>
T at(F f, T x) {
  T in[Native<T>::width], out[Native<T>::width];
  for (T& e : in) e = x;
  Native<T>(f(Native<T>::load(in))).store(out);
  for (T e : out) CHECK((e == out[0] || (std::isnan(e) && std::isnan(out[0]))));
  return out[0];
}

// pow in one place: inlined into every test that calls it, it would make this file slow to compile.
template <class T>
[[gnu::noinline]] void power(const T* x, const T* y, T* out) {
  using V = Native<T>;
  pow(V::load(x), V::load(y)).store(out);
}
template <class V>
V power(V x, V y) {
  typename V::value_type in[2][V::width], out[V::width];
  x.store(in[0]);
  y.store(in[1]);
  power(in[0], in[1], out);
  return V::load(out);
}

template <class T>
bool same(T a, T b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

}  // namespace

TEST_CASE_TEMPLATE("functions on registers are within three units in the last place", T, float, double) {
  constexpr bool single = sizeof(T) == 4;
  const double high = single ? 89.5 : 711, low = single ? -105 : -750,
               largest = std::numeric_limits<T>::max();
  const Sweep<T> unit(-1, 1), range(low, high), tiny = Sweep<T>::logarithmic(1, true);
  const Sweep<T> positive = Sweep<T>::logarithmic(largest, false);

  const auto f_exp = [](auto x) { return exp(x); };
  const auto r_exp = [](Exact x) { return std::exp(x); };
  check_function<T>("exp", unit, 1.1, f_exp, r_exp);
  check_function<T>("exp", range, 1.1, f_exp, r_exp);
  const auto f_expm1 = [](auto x) { return expm1(x); };
  const auto r_expm1 = [](Exact x) { return std::expm1(x); };
  check_function<T>("expm1", unit, 2.2, f_expm1, r_expm1);
  check_function<T>("expm1", range, 2.2, f_expm1, r_expm1);
  check_function<T>("expm1", tiny, 2.2, f_expm1, r_expm1);
  const auto f_log = [](auto x) { return log(x); };
  const auto r_log = [](Exact x) { return std::log(x); };
  check_function<T>("log", positive, 1.1, f_log, r_log);
  check_function<T>("log", Sweep<T>(0.5, 2), 1.1, f_log, r_log);
  const auto f_log1p = [](auto x) { return log1p(x); };
  const auto r_log1p = [](Exact x) { return std::log1p(x); };
  check_function<T>("log1p", positive, 1.1, f_log1p, r_log1p);
  check_function<T>("log1p", tiny, 1.1, f_log1p, r_log1p);
  check_function<T>("log1p", Sweep<T>(-1, 3), 1.1, f_log1p, r_log1p);
  const auto f_sin = [](auto x) { return sin(x); };
  const auto r_sin = [](Exact x) { return std::sin(x); };
  const auto f_cos = [](auto x) { return cos(x); };
  const auto r_cos = [](Exact x) { return std::cos(x); };
  for (const Sweep<T>& s :
       {unit, tiny, Sweep<T>(-10, 10), Sweep<T>(-7000, 7000), Sweep<T>(-1e6, 1e6), Sweep<T>(-1e15, 1e15)}) {
    check_function<T>("sin", s, 2.2, f_sin, r_sin);
    check_function<T>("cos", s, 2.2, f_cos, r_cos);
  }
  const auto f_tanh = [](auto x) { return tanh(x); };
  const auto r_tanh = [](Exact x) { return std::tanh(x); };
  check_function<T>("tanh", unit, 2.8, f_tanh, r_tanh);
  check_function<T>("tanh", Sweep<T>(-25, 25), 2.8, f_tanh, r_tanh);
  check_function<T>("tanh", tiny, 2.8, f_tanh, r_tanh);
  const auto f_sigmoid = [](auto x) { return sigmoid(x); };
  const auto r_sigmoid = [](Exact x) {
    return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
  };
  check_function<T>("sigmoid", Sweep<T>(-6, 6), 2.8, f_sigmoid, r_sigmoid);
  check_function<T>("sigmoid", range, 2.8, f_sigmoid, r_sigmoid);
  const auto f_softplus = [](auto x) { return softplus(x); };
  const auto r_softplus = [](Exact x) { return (x > 0 ? x : 0) + std::log1p(std::exp(-std::fabs(x))); };
  check_function<T>("softplus", Sweep<T>(-6, 6), 2.8, f_softplus, r_softplus);
  check_function<T>("softplus", range, 2.8, f_softplus, r_softplus);
  check_function<T>(
      "sqrt", positive, 0.51, [](auto x) { return sqrt(x); }, [](Exact x) { return std::sqrt(x); });
}

TEST_CASE("float32 exp, tanh and sigmoid are accurate and keep their bounds on numbers of every magnitude") {
  // Every 4093rd of all bit patterns, infinities and NaN among them. Over all of them the largest errors are
  // 1.00, 2.47 and 2.40 with AVX-512.
  Sweep<float> all(0, 0, 0);
  for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += 4093)
    all.x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  const auto f_exp = [](auto x) { return exp(x); };
  const auto f_tanh = [](auto x) { return tanh(x); };
  const auto f_sigmoid = [](auto x) { return sigmoid(x); };
  check_function<float>("exp", all, 1.1, f_exp, [](Exact x) { return std::exp(double(x)); });
  check_function<float>("tanh", all, 2.8, f_tanh, [](Exact x) { return std::tanh(double(x)); });
  check_function<float>("sigmoid", all, 2.8, f_sigmoid,
                        [](Exact x) { return 1 / (1 + std::exp(-double(x))); });

  using V = Native<float>;
  float in[V::width], e[V::width], t[V::width], minus_t[V::width], s[V::width];
  bool bounded = true, odd = true;
  for (std::size_t i = 0; i + V::width <= all.x.size(); i += V::width) {
    for (int k = 0; k < V::width; ++k) in[k] = all.x[i + k];
    const V x = V::load(in);
    exp(x).store(e);
    tanh(x).store(t);
    tanh(-x).store(minus_t);
    sigmoid(x).store(s);
    for (int k = 0; k < V::width; ++k) {
      if (std::isnan(in[k])) continue;
      bounded &= e[k] >= 0 && (in[k] > 0 ? e[k] >= 1 : e[k] <= 1);
      bounded &= std::fabs(t[k]) <= 1 && s[k] >= 0 && s[k] <= 1;
      odd &= same(minus_t[k], -t[k]);
    }
  }
  CHECK(bounded);
  CHECK(odd);
  CHECK(at<float>(f_exp, 0.0f) == 1.0f);
  CHECK(at<float>(f_sigmoid, 0.0f) == 0.5f);
}

TEST_CASE("float64 exp and sigmoid end where the exact values do") {
  const auto f_exp = [](auto x) { return exp(x); };
  const auto f_sigmoid = [](auto x) { return sigmoid(x); };
  CHECK(at<double>(f_exp, 0.0) == 1.0);
  CHECK(ulps(at<double>(f_exp, 709.78271289338397), std::exp(Exact(709.78271289338397))) <= 1.1);
  CHECK(std::isinf(at<double>(f_exp, 709.78271289338409)));
  CHECK(at<double>(f_exp, -745.13321910194110) == std::numeric_limits<double>::denorm_min());
  CHECK(at<double>(f_exp, -745.13321910194134) == 0.0);
  CHECK(ulps(at<double>(f_sigmoid, -740.0), std::exp(Exact(-740))) <= 1);
  CHECK(at<double>(f_sigmoid, 1e300) == 1.0);
  CHECK(at<double>(f_sigmoid, -1e300) == 0.0);
  CHECK(std::isnan(at<double>(f_sigmoid, std::numeric_limits<double>::quiet_NaN())));
}

TEST_CASE_TEMPLATE("pow is within 1.5 units in the last place over its whole range", T, float, double) {
  constexpr bool single = sizeof(T) == 4;
  for (const double exponent : {1.7, -37.3, 0.5, 3.0, -1.0, 1e-3, 100.5}) {
    const T y = static_cast<T>(exponent);
    const auto reference = [y](Exact x) { return std::pow(x, Exact(y)); };
    check_function<T>(
        "pow(x, y)", Sweep<T>(0, 100, 4000), 1.5, [y](auto x) { return power(x, decltype(x)(y)); },
        reference);
    check_function<T>(
        "pow(x, y)", Sweep<T>::logarithmic(1e30, false), 1.5,
        [y](auto x) { return power(x, decltype(x)(y)); }, reference);
  }
  for (const double base : {1.1, 0.03, 1.0000001, 1e-40}) {
    const T x = static_cast<T>(base);
    check_function<T>(
        "pow(x, y)", Sweep<T>(single ? -1000 : -8000, single ? 1000 : 8000), 1.5,
        [x](auto y) { return power(decltype(y)(x), y); }, [x](Exact y) { return std::pow(Exact(x), y); });
  }
  // Squares and cubes are products.
  for (const double exponent : {-1.0, 0.0, 1.0, 2.0, 3.0, 2.5})
    check_function<T>(
        "pow(x, number)", Sweep<T>(0.01, 30, 2000), 1.6, [exponent](auto x) { return pow(x, exponent); },
        [exponent](Exact x) { return std::pow(x, Exact(exponent)); });
}

TEST_CASE_TEMPLATE("special values are those of the standard library", T, float, double) {
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  const T tiny = std::numeric_limits<T>::denorm_min(), huge = std::numeric_limits<T>::max();
  const T specials[] = {T(0),  T(-0.0), T(1),  T(-1),  T(0.5),  T(-0.5), T(2),
                        T(-2), T(3),    T(-3), T(2.5), T(-2.5), inf,     -inf,
                        nan,   tiny,    -tiny, huge,   -huge,   T(1e9),  T(1e9 + 1)};
  for (const T x : specials) {
    INFO("x = ", static_cast<double>(x));
    CHECK(ulps(at<T>([](auto v) { return exp(v); }, x), std::exp(Exact(x))) <= 1.1);
    CHECK(ulps(at<T>([](auto v) { return log(v); }, x), std::log(Exact(x))) <= 1.1);
    CHECK(same(at<T>([](auto v) { return square(v); }, x), x * x));
    CHECK(same(at<T>([](auto v) { return reciprocal(v); }, x), 1 / x));
    CHECK(same(at<T>([](auto v) { return sqrt(v); }, x), std::sqrt(x)));
    CHECK(same(at<T>([](auto v) { return abs(v); }, x), std::fabs(x)));
    CHECK(same(at<T>([](auto v) { return -v; }, x), -x));
    CHECK(same(at<T>([](auto v) { return sign(v); }, x), std::isnan(x) ? nan : T((x > 0) - (x < 0))));
    for (const auto& [got, exact] : {std::pair{at<T>([](auto v) { return expm1(v); }, x), std::expm1(x)},
                                     std::pair{at<T>([](auto v) { return log1p(v); }, x), std::log1p(x)},
                                     std::pair{at<T>([](auto v) { return sin(v); }, x), std::sin(x)},
                                     std::pair{at<T>([](auto v) { return cos(v); }, x), std::cos(x)},
                                     std::pair{at<T>([](auto v) { return tanh(v); }, x), std::tanh(x)}}) {
      CHECK(ulps(got, Exact(exact)) <= 3);
      if (exact == 0) CHECK(std::signbit(got) == std::signbit(exact));
    }
    CHECK(at<T>([](auto v) { return where(isnan(v), 1, where(isinf(v), 2, where(isfinite(v), 3, 4))); }, x) ==
          (std::isnan(x)   ? 1
           : std::isinf(x) ? 2
                           : 3));
    for (const T y : specials) {
      INFO("y = ", static_cast<double>(y));
      const auto two = [y](auto f) { return [y, f](auto v) { return f(v, decltype(v)(y)); }; };
      const T got = at<T>(two([](auto a, auto b) { return power(a, b); }), x), exact = std::pow(x, y);
      CHECK(ulps(got, Exact(exact)) <= 2);
      if (exact == 0) CHECK(std::signbit(got) == std::signbit(exact));
      const bool either = std::isnan(x) || std::isnan(y);
      const T larger = at<T>(two([](auto a, auto b) { return maximum(a, b); }), x);
      const T smaller = at<T>(two([](auto a, auto b) { return minimum(a, b); }), x);
      CHECK((either ? std::isnan(larger) && std::isnan(smaller)
                    : larger == std::fmax(x, y) && smaller == std::fmin(x, y)));
      const auto flag = [&](auto compare) {
        return at<T>(two([compare](auto a, auto b) { return where(compare(a, b), 1.0, 0.0); }), x) == 1;
      };
      CHECK(flag([](auto a, auto b) { return a < b; }) == (x < y));
      CHECK(flag([](auto a, auto b) { return a <= b; }) == (x <= y));
      CHECK(flag([](auto a, auto b) { return a > b; }) == (x > y));
      CHECK(flag([](auto a, auto b) { return a >= b; }) == (x >= y));
      CHECK(flag([](auto a, auto b) { return a == b; }) == (x == y));
      CHECK(flag([](auto a, auto b) { return a != b; }) == (x != y));
      CHECK(flag([](auto a, auto b) { return (a < b) | (b < a); }) == (x < y || y < x));
      CHECK(flag([](auto a, auto b) { return !((a <= b) & (b <= a)); }) == !(x <= y && y <= x));
    }
  }
}

TEST_CASE("sigmoid and softplus stay finite and exact at both ends") {
  CHECK(at<float>([](auto x) { return softplus(x); }, 89.0f) == 89.0f);
  CHECK(at<float>([](auto x) { return softplus(x); }, 1e30f) == 1e30f);
  CHECK(at<float>([](auto x) { return softplus(x); }, -1e30f) == 0.0f);
  CHECK(at<float>([](auto x) { return sigmoid(x); }, 200.0f) == 1.0f);
  CHECK(at<float>([](auto x) { return sigmoid(x); }, -200.0f) == 0.0f);
  CHECK(ulps(at<float>([](auto x) { return sigmoid(x); }, -100.0f), std::exp(Exact(-100))) <= 1);
  CHECK(std::isnan(at<float>([](auto x) { return softplus(x); }, NAN)));
  CHECK(std::isnan(at<float>([](auto x) { return sigmoid(x); }, NAN)));
}

TEST_CASE("float32 exp overflows where the exact value does, not earlier") {
  CHECK(ulps(at<float>([](auto x) { return exp(x); }, 88.72283f), std::exp(Exact(88.72283f))) <= 1.1);
  CHECK(std::isinf(at<float>([](auto x) { return exp(x); }, 88.72284f)));
}

TEST_CASE_TEMPLATE("head selects the first lanes, swapped exchanges them", T, float, double) {
  using V = Native<T>;
  T out[V::width];
  for (int n = 0; n <= V::width; ++n) {
    where(V::head(n), V(1), V(0)).store(out);
    for (int k = 0; k < V::width; ++k) CHECK(out[k] == (k < n ? 1 : 0));
  }
  if constexpr (V::width > 1) {
    T in[V::width];
    for (int k = 0; k < V::width; ++k) in[k] = T(k);
    V::load(in).template swapped<1>().store(out);
    for (int k = 0; k < V::width; ++k) CHECK(out[k] == (k ^ 1));
  }
}

TEST_CASE("single elements follow NumPy: integers wrap, bool adds as or") {
  using I = Vec<std::int64_t, Scalar>;
  using B = Vec<bool, Scalar>;
  const std::int64_t most = std::numeric_limits<std::int64_t>::max(),
                     least = std::numeric_limits<std::int64_t>::min();
  CHECK((I(most) + 1).v == least);
  CHECK((I(most) * 2).v == -2);
  CHECK((-I(least)).v == least);
  CHECK(abs(I(-7)).v == 7);
  CHECK(sign(I(-7)).v == -1);
  CHECK(pow(I(3), I(5)).v == 243);
  CHECK(pow(I(-1), I(-3)).v == -1);
  CHECK(pow(I(2), I(-1)).v == 0);
  CHECK(maximum(I(2), 5).v == 5);
  CHECK(where(I(2) > I(1), I(10), I(20)).v == 10);
  CHECK((B(true) + B(true)).v);
  CHECK_FALSE((B(true) * B(false)).v);
  CHECK_FALSE((!B(true)).v);
  CHECK((B(true) & (I(1) < I(2))).v);
  CHECK(where(B(false), Vec<float, Scalar>(1), Vec<float, Scalar>(2)).v == 2.0f);
  CHECK(sigmoid(Vec<double, Scalar>(-800)).v == 0.0);
  CHECK(softplus(Vec<float, Scalar>(89)).v == 89.0f);
  CHECK(softplus(Vec<double, Scalar>(-1)).v == doctest::Approx(0.31326168751822286));
}

TEST_CASE("the dependence probe tells which arguments a rule reads") {
  const auto probe = [](auto rule) { return rule(Uses{1}, Uses{2}).mask; };
  CHECK(probe([](auto, auto y) { return 1.0 - y * y; }) == 2);
  CHECK(probe([](auto x, auto) { return where(x > 0.0, 1.0, 0.01); }) == 1);
  CHECK(probe([](auto x, auto) { return ones_like(x); }) == 0);
  CHECK(probe([](auto x, auto y) { return pow(abs(x), 2) / maximum(y, 1e-3); }) == 3);
  CHECK(probe([](auto x, auto y) { return where(!(isnan(x) | isfinite(x)), tanh(x), 0.0) + 0 * exp(y); }) ==
        3);
  static_assert((Uses{4} + 1).mask == 4);
}
