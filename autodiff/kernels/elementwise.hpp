#pragma once

/// \file
/// out[i] = f(in0[i], in1[i], ...) for a rule f written as a generic lambda (vec.hpp) without captures.
///
///     map_rows<F, Out, In...>                     the RowKernel: inputs full or a single element (row.hpp)
///     map(f, out, n, a, b)                        everything contiguous
///     map(f, out, shape, {a, b}, {sa, sb})        inputs of one type, each with the strides that read it as
///                                                 `shape` (0 along a repeated axis)
///     map(f, out, shape, strides, a, b, c)        the same, inputs of different types
///
/// The row kernel is the only code that is compiled for a rule and its types; the loop nest around it
/// (nest.hpp) calls it through its pointer. The output is contiguous, row-major and overlaps no input. When
/// output and inputs are all float or all double, f runs on registers (Vec<T, Simd>); otherwise, for
/// comparisons, conditions, casts, integers, on single elements (Vec<T, Scalar>) in loops that the compiler
/// vectorises.
///
/// Every buffer must have 64 readable and writable bytes after its last element: the last vector of a row is
/// read and written in full. Rows are written in order, so threads that share an output must split it at
/// multiples of 64 elements.

#include "autodiff/kernels/nest.hpp"
#include "autodiff/kernels/vec.hpp"

namespace wengert::kernels {
inline namespace WENGERT_ISA {
namespace elementwise {

/// The lanes of a rule's registers: the floating type that operands and result have, but for bools, which are
/// masks beside it. void where there are other types.
template <class T, class... All>
inline constexpr bool lanes_fit = vectorised<T> &&
                                  ((std::is_same_v<All, T> || std::is_same_v<All, bool>)&&...) &&
                                  (std::is_same_v<All, T> || ...);
template <class... All>
using Lanes = std::conditional_t<lanes_fit<float, All...>, float,
                                 std::conditional_t<lanes_fit<double, All...>, double, void>>;

/// bool is read and written as a byte: g++ 12 vectorises no loop that loads a bool.
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, bool>, std::uint8_t, T>;

// ------------------------------------------------------------------------------------- register mode

/// What a register holds of an operand of type X beside lanes of type T.
template <class X, class T>
using Register = std::conditional_t<std::is_same_v<X, T>, Vec<T, Simd>, Mask<T, Simd>>;

template <class X, class T>
WENGERT_INLINE Register<X, T> load(const std::byte* p, std::int64_t j) {
  return Register<X, T>::load(reinterpret_cast<const Stored<X>*>(p) + j);
}
template <class X, class T>
WENGERT_INLINE Register<X, T> splat(const std::byte* p) {
  return Register<X, T>::splat(reinterpret_cast<const Stored<X>*>(p));
}
template <class X, class T>
WENGERT_INLINE void store(Register<X, T> value, std::byte* p, std::int64_t j) {
  value.store(reinterpret_cast<Stored<X>*>(p) + j);
}

/// The operands of a row, and the way to the next one.
template <class... In>
struct Rows {
  static constexpr int count = sizeof...(In);
  std::byte* out;
  const std::byte* in[count];

  template <int... I>
  WENGERT_INLINE Rows(std::byte* const* slots, const RowOp& op, std::integer_sequence<int, I...>)
      : out(slots[op.out]), in{slots[op.in[I]]...} {}
  WENGERT_INLINE void next(const RowOp& op) {
    const std::int64_t* const pitch = static_cast<const PitchedRowOp&>(op).pitch;
    out += pitch[0];
    for (int i = 0; i < count; ++i) in[i] += pitch[1 + i];
  }
};

/// Rows of a single register.
template <class F, class T, class Out, class... In, int... I>
WENGERT_INLINE void short_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows,
                               std::integer_sequence<int, I...> all) {
  constexpr F f{};
  Rows<In...> p(slots, op, all);
  for (std::int64_t r = 1;; ++r) {
    store<Out, T>(f(((op.repeated >> I & 1) != 0 ? splat<In, T>(p.in[I]) : load<In, T>(p.in[I], 0))...),
                  p.out, 0);
    if (r >= rows) return;
    p.next(op);
  }
}

/// Nothing is repeated.
template <class F, class T, class Out, class... In, int... I>
[[gnu::noinline]] void full_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t n,
                                 std::integer_sequence<int, I...> all) {
  constexpr F f{};
  Rows<In...> p(slots, op, all);
  for (std::int64_t r = 1;; ++r) {
    for (std::int64_t j = 0; j < n; j += Vec<T, Simd>::width)
      store<Out, T>(f(load<In, T>(p.in[I], j)...), p.out, j);
    if (r >= rows) return;
    p.next(op);
  }
}

/// A repeated operand is read again and again from a register-sized copy in L1: that keeps one loop for all
/// combinations of repeated and moving operands.
template <class F, class T, class Out, class... In, int... I>
[[gnu::noinline]] void mixed_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t n,
                                  std::integer_sequence<int, I...> all) {
  constexpr int N = sizeof...(I), W = Vec<T, Simd>::width;
  constexpr F f{};
  alignas(64) std::byte copies[N][W * sizeof(T)];
  const unsigned repeated = op.repeated;
  const std::int64_t step[N] = {((repeated >> I & 1) != 0 ? 0 : W * static_cast<int>(sizeof(In)))...};
  Rows<In...> p(slots, op, all);
  for (std::int64_t r = 1;; ++r) {
    const std::byte* in[N] = {(step[I] == 0 ? copies[I] : p.in[I])...};
    ((step[I] == 0 ? store<In, T>(splat<In, T>(p.in[I]), copies[I], 0) : void()), ...);
    for (std::int64_t j = 0; j < n; j += W) {
      store<Out, T>(f(load<In, T>(in[I], 0)...), p.out, j);
      ((in[I] += step[I]), ...);
    }
    if (r >= rows) return;
    p.next(op);
  }
}

// ------------------------------------------------------------------------------------- one-element mode

template <class Out, class V>
WENGERT_INLINE Out element(V value) {
  if constexpr (std::is_arithmetic_v<V>)
    return static_cast<Out>(value);
  else
    return static_cast<Out>(value.v);
}

/// Bit i of `repeated`: input i is one element.
template <unsigned repeated, class F, class Out, class... In, int... I>
[[gnu::noinline]] void plain_row(Stored<Out>* __restrict out, std::int64_t n,
                                 std::integer_sequence<int, I...>, const Stored<In>* __restrict... in) {
  constexpr F f{};
  for (std::int64_t j = 0; j < n; ++j)
    out[j] = element<Out>(f(Vec<In, Scalar>((repeated >> I & 1) != 0 ? in[0] : in[j])...));
}

/// With more than two inputs, elements of a repeated one are laid side by side, so that one loop serves all
/// combinations.
template <class F, class Out, class... In, int... I>
WENGERT_INLINE void plain_chunks(const Rows<In...>& p, unsigned repeated, std::int64_t n,
                                 std::integer_sequence<int, I...> all) {
  constexpr int chunk = 128;
  alignas(64) std::byte copies[sizeof...(I)][chunk * 8];
  const std::byte* in[] = {((repeated >> I & 1) != 0 ? copies[I] : p.in[I])...};
  const auto fill = [&](auto value, std::byte* to) {
    for (std::int64_t j = 0; j < chunk; ++j) reinterpret_cast<decltype(value)*>(to)[j] = value;
  };
  ((in[I] == copies[I] ? fill(*reinterpret_cast<const Stored<In>*>(p.in[I]), copies[I]) : void()), ...);
  for (std::int64_t j = 0; j < n; j += chunk) {
    plain_row<0, F, Out, In...>(reinterpret_cast<Stored<Out>*>(p.out) + j, n - j < chunk ? n - j : chunk, all,
                                reinterpret_cast<const Stored<In>*>(in[I])...);
    ((in[I] += in[I] == copies[I] ? 0 : chunk * sizeof(In)), ...);
  }
}

template <class F, class Out, class... In, int... I>
WENGERT_INLINE void plain_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t n,
                               std::integer_sequence<int, I...> all) {
  Rows<In...> p(slots, op, all);
  for (std::int64_t r = 1;; ++r) {
    auto* const out = reinterpret_cast<Stored<Out>*>(p.out);
    const auto run = [&]<unsigned repeated>(std::integral_constant<unsigned, repeated>) {
      plain_row<repeated, F, Out, In...>(out, n, all, reinterpret_cast<const Stored<In>*>(p.in[I])...);
    };
    if (op.repeated == 0)
      run(std::integral_constant<unsigned, 0>{});
    else if constexpr (sizeof...(I) > 2)
      plain_chunks<F, Out, In...>(p, op.repeated, n, all);
    else if (op.repeated == 1)
      run(std::integral_constant<unsigned, 1>{});
    else if constexpr (sizeof...(I) == 2)
      op.repeated == 2 ? run(std::integral_constant<unsigned, 2>{})
                       : run(std::integral_constant<unsigned, 3>{});
    if (r >= rows) return;
    p.next(op);
  }
}

}  // namespace elementwise

/// The RowKernel of a rule for some element types.
template <class F, class Out, class... In>
void map_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t n) {
  static_assert(std::is_empty_v<F> && sizeof...(In) <= RowOp::max_inputs);
  constexpr auto all = std::make_integer_sequence<int, sizeof...(In)>{};
  using T = elementwise::Lanes<Out, In...>;
  if constexpr (std::is_void_v<T>) {
    elementwise::plain_rows<F, Out, In...>(slots, op, rows, n, all);
  } else if (n <= Vec<T, Simd>::width) {
    elementwise::short_rows<F, T, Out, In...>(slots, op, rows, all);
  } else if (op.repeated == 0) {
    elementwise::full_rows<F, T, Out, In...>(slots, op, rows, n, all);
  } else if constexpr (sizeof...(In) > 1) {
    elementwise::mixed_rows<F, T, Out, In...>(slots, op, rows, n, all);
  } else {  // one number repeated: the same result everywhere
    elementwise::Rows<In...> p(slots, op, all);
    for (std::int64_t r = 1;; ++r) {
      std::byte* const first[] = {p.out, const_cast<std::byte*>(p.in[0])};
      RowOp once = first_slots;
      once.repeated = 1;
      map_rows<F, Out, In...>(first, once, 1, 1);
      const auto result = elementwise::load<Out, T>(p.out, 0);
      for (std::int64_t j = 0; j < n; j += Vec<T, Simd>::width) elementwise::store<Out, T>(result, p.out, j);
      if (r >= rows) return;
      p.next(op);
    }
  }
}

namespace elementwise {
template <class T>
WENGERT_INLINE std::byte* slot(const T* p) {
  return reinterpret_cast<std::byte*>(const_cast<T*>(p));
}
}  // namespace elementwise

/// Contiguous operands of one type or of several.
template <class F, class Out, class... In>
inline void map(const F&, Out* out, std::int64_t n, const In*... in) {
  std::byte* const slots[] = {elementwise::slot(out), elementwise::slot(in)...};
  if (n > 0) map_rows<F, Out, In...>(slots, first_slots, 1, n);
}

/// Any strides, operands of any types.
template <class F, class Out, class... In>
inline void map(const F&, Out* out, const Shape& shape, const Strides* strides, const In*... in) {
  constexpr int N = sizeof...(In);
  Nest nest = {map_rows<F, Out, In...>,
               shape,
               elementwise::slot(out),
               sizeof(Out),
               N,
               {{elementwise::slot(in), nullptr, sizeof(In)}...}};
  for (int i = 0; i < N; ++i) nest.in[i].strides = strides[i].begin();
  run_nest(nest);
}

namespace elementwise {
template <class F, class Out, class T, int N, int... I>
WENGERT_INLINE void map_array(const F& f, Out* out, const Shape& shape, const T* const (&in)[N],
                              const Strides* strides, std::integer_sequence<int, I...>) {
  kernels::map(f, out, shape, strides, in[I]...);
}
}  // namespace elementwise

/// Any strides, operands of one type in an array.
template <class F, class Out, class T, int N>
inline void map(const F& f, Out* out, const Shape& shape, const T* const (&in)[N],
                const Strides (&strides)[N]) {
  elementwise::map_array(f, out, shape, in, strides, std::make_integer_sequence<int, N>{});
}

}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
