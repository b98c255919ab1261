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

#include <tuple>

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

template <class T>
WENGERT_INLINE T* moved(T* p, std::int64_t bytes) {
  return reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(p) + static_cast<std::uintptr_t>(bytes));
}

// ------------------------------------------------------------------------------------- register mode

/// What a register holds of an operand of type X beside lanes of type T.
template <class X, class T>
using Register = std::conditional_t<std::is_same_v<X, T>, Vec<T, Simd>, Mask<T, Simd>>;

/// Rows of a single register.
template <class F, class T, class Out, class... In, int... I>
WENGERT_INLINE void short_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows,
                               std::integer_sequence<int, I...>) {
  constexpr F f{};
  const auto read = [&]<int i, class X>(std::integral_constant<int, i>, const X* p, auto type) {
    using R = decltype(type);
    return (op.repeated >> i & 1) != 0 ? R::splat(p) : R::load(p);
  };
  auto* out = reinterpret_cast<Stored<Out>*>(slots[op.out]);
  std::tuple in(reinterpret_cast<const Stored<In>*>(slots[op.in[I]])...);
  for (std::int64_t r = 1;; ++r) {
    Register<Out, T>(f(read(std::integral_constant<int, I>{}, std::get<I>(in), Register<In, T>())...))
        .store(out);
    if (r >= rows) return;
    const std::int64_t* const pitch = static_cast<const PitchedRowOp&>(op).pitch;
    out = moved(out, pitch[0]);
    ((std::get<I>(in) = moved(std::get<I>(in), pitch[1 + I])), ...);
  }
}

/// A repeated operand is read again and again from a register-sized copy in L1: that keeps one loop for all
/// combinations of repeated and moving operands.
template <class F, class T, class Out, class... In, int... I>
[[gnu::noinline]] void long_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t n,
                                 std::integer_sequence<int, I...>) {
  constexpr int N = sizeof...(I), W = Vec<T, Simd>::width;
  constexpr F f{};
  alignas(64) T copies[N][W];
  auto* out = reinterpret_cast<Stored<Out>*>(slots[op.out]);
  std::tuple in(reinterpret_cast<const Stored<In>*>(slots[op.in[I]])...);
  const unsigned repeated = op.repeated;
  const std::int64_t step[N] = {((repeated >> I & 1) != 0 ? 0 : W)...};
  for (std::int64_t r = 1;; ++r) {
    if (N > 1 && repeated == 0) {
      for (std::int64_t j = 0; j < n; j += W)
        Register<Out, T>(f(Register<In, T>::load(std::get<I>(in) + j)...)).store(out + j);
    } else {
      std::tuple p = in;
      const auto copy = [&]<class X>(const X*& from, auto type, T* to) {
        decltype(type)::splat(from).store(reinterpret_cast<X*>(to));
        from = reinterpret_cast<const X*>(to);
      };
      ((step[I] == 0 ? copy(std::get<I>(p), Register<In, T>(), copies[I]) : void()), ...);
      for (std::int64_t j = 0; j < n; j += W) {
        Register<Out, T>(f(Register<In, T>::load(std::get<I>(p))...)).store(out + j);
        ((std::get<I>(p) += step[I]), ...);
      }
    }
    if (r >= rows) return;
    const std::int64_t* const pitch = static_cast<const PitchedRowOp&>(op).pitch;
    out = moved(out, pitch[0]);
    ((std::get<I>(in) = moved(std::get<I>(in), pitch[1 + I])), ...);
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

template <class F, class Out, class... In>
[[gnu::noinline]] void plain_row(Stored<Out>* __restrict out, std::int64_t n,
                                 const Stored<In>* __restrict... in) {
  constexpr F f{};
  for (std::int64_t j = 0; j < n; ++j) out[j] = element<Out>(f(Vec<In, Scalar>(in[j])...));
}

template <class F, class Out, class... In, int... I>
[[gnu::noinline]] void plain_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t n,
                                  std::integer_sequence<int, I...>) {
  constexpr int chunk = 256;  // elements of a repeated operand side by side, so that one loop serves all
  alignas(64) std::byte copies[sizeof...(I)][chunk * 8];
  Stored<Out>* out = reinterpret_cast<Stored<Out>*>(slots[op.out]);
  const std::byte* in[] = {slots[op.in[I]]...};
  for (std::int64_t r = 1;; ++r) {
    if (op.repeated == 0) {
      plain_row<F, Out, In...>(out, n, reinterpret_cast<const Stored<In>*>(in[I])...);
    } else {
      const std::byte* p[] = {in[I]...};
      const std::int64_t filled = n < chunk ? n : chunk;
      const auto fill = [&](auto value, int i) {
        auto* const to = reinterpret_cast<decltype(value)*>(copies[i]);
        for (std::int64_t j = 0; j < filled; ++j) to[j] = value;
        p[i] = copies[i];
      };
      ((op.repeated >> I & 1 ? fill(*reinterpret_cast<const Stored<In>*>(in[I]), I) : void()), ...);
      for (std::int64_t j = 0; j < n; j += chunk) {
        plain_row<F, Out, In...>(out + j, n - j < chunk ? n - j : chunk,
                                 reinterpret_cast<const Stored<In>*>(p[I])...);
        ((op.repeated >> I & 1 ? void() : void(p[I] += chunk * sizeof(In))), ...);
      }
    }
    if (r >= rows) return;
    const std::int64_t* const pitch = static_cast<const PitchedRowOp&>(op).pitch;
    out = moved(out, pitch[0]);
    ((in[I] = moved(in[I], pitch[1 + I])), ...);
  }
}

template <class F, class Out, class... In, int... I>
WENGERT_INLINE void plain(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t n,
                          std::integer_sequence<int, I...> all) {
  if (rows != 1 || op.repeated != 0) return plain_rows<F, Out, In...>(slots, op, rows, n, all);
  plain_row<F, Out, In...>(reinterpret_cast<Stored<Out>*>(slots[op.out]), n,
                           reinterpret_cast<const Stored<In>*>(slots[op.in[I]])...);
}

}  // namespace elementwise

/// The RowKernel of a rule for some element types.
template <class F, class Out, class... In>
void map_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t n) {
  static_assert(std::is_empty_v<F> && sizeof...(In) <= RowOp::max_inputs);
  constexpr auto all = std::make_integer_sequence<int, sizeof...(In)>{};
  using T = elementwise::Lanes<Out, In...>;
  if constexpr (std::is_void_v<T>)
    elementwise::plain<F, Out, In...>(slots, op, rows, n, all);
  else if (n <= Vec<T, Simd>::width)
    elementwise::short_rows<F, T, Out, In...>(slots, op, rows, all);
  else
    elementwise::long_rows<F, T, Out, In...>(slots, op, rows, n, all);
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
               nullptr,
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
