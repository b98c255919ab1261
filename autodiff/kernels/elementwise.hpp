#pragma once

/// \file
/// out[i] = f(in0[i], in1[i], ...) for a rule f written as a generic lambda (vec.hpp), with 1 to 5 inputs.
///
///     map(f, out, n, a, b)                        everything contiguous
///     map(f, out, n, Repeated{0b10}, a, b)        bit i set: input i is one element, used for all
///     map(f, out, shape, {a, b}, {sa, sb})        inputs of one type, each with the strides that read it as
///                                                 `shape` (0 along a repeated axis)
///     map(f, out, shape, strides, a, b, c)        the same, inputs of different types
///
/// The output is contiguous, row-major and overlaps no input. When output and inputs are all float or all
/// double, f runs on registers (Vec<T, Simd>); otherwise, for comparisons, conditions, casts, integers, on
/// single elements (Vec<T, Scalar>) in loops that the compiler vectorises.
///
/// Every buffer must have 64 readable and writable bytes after its last element: the last vector of a row is
/// read and written in full. Rows are written in order, so threads that share an output must split it at
/// multiples of 64 elements.

#include "autodiff/kernels/nest.hpp"
#include "autodiff/kernels/vec.hpp"

namespace wengert::kernels {
inline namespace WENGERT_ISA {

/// Bit i: input i is a single element.
struct Repeated {
  unsigned mask;
};

namespace elementwise {

template <class Out, class... In>
inline constexpr bool use_registers = vectorised<Out> && (std::is_same_v<Out, In> && ...);

// ------------------------------------------------------------------------------------- register mode

/// All inputs contiguous.
template <class F, class T, class... In>
WENGERT_INLINE void row(const F& f, T* out, std::int64_t n, const In*... in) {
  using V = Vec<T, Simd>;
  if (n <= V::width) {
    if (n > 0) V(f(V::load(in)...)).store(out);
    return;
  }
  for (std::int64_t j = 0; j < n; j += V::width) V(f(V::load(in + j)...)).store(out + j);
}

template <class F, class T, int... I>
WENGERT_INLINE void block_registers(const F& f, const Block<sizeof...(I)>& b,
                                    std::integer_sequence<int, I...>) {
  using V = Vec<T, Simd>;
  constexpr int N = sizeof...(I);
  T* out = reinterpret_cast<T*>(b.out);
  const T* in[N] = {reinterpret_cast<const T*>(b.in[I])...};
  if ((b.unit[I] && ...)) {
    for (std::int64_t r = 0; r < b.rows; ++r) {
      row(f, out, b.n, in[I]...);
      out += b.out_pitch;
      ((in[I] += b.pitch[I]), ...);
    }
    return;
  }
  // A constant operand is read again and again from a register-sized copy in L1: that keeps one loop for all
  // combinations of constant and moving operands.
  alignas(64) T constant[N][V::width];
  const std::int64_t step[N] = {(b.unit[I] ? V::width : 0)...};
  for (std::int64_t r = 0; r < b.rows; ++r) {
    if (b.n <= V::width) {
      V(f((b.unit[I] ? V::load(in[I]) : V::splat(in[I]))...)).store(out);
    } else {
      ((b.unit[I] ? void() : V::splat(in[I]).store(constant[I])), ...);
      const T* p[N] = {(b.unit[I] ? in[I] : constant[I])...};
      for (std::int64_t j = 0; j < b.n; j += V::width) {
        V(f(V::load(p[I])...)).store(out + j);
        ((p[I] += step[I]), ...);
      }
    }
    out += b.out_pitch;
    ((in[I] += b.pitch[I]), ...);
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

/// bool is read and written as a byte: g++ 12 vectorises no loop that loads a bool.
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, bool>, std::uint8_t, T>;

template <unsigned unit, class Out, class... In, class F, int... I>
WENGERT_INLINE void plain_row(const F& f, Stored<Out>* __restrict out, std::int64_t n,
                              std::integer_sequence<int, I...>, const Stored<In>* __restrict... in) {
  for (std::int64_t j = 0; j < n; ++j)
    out[j] = element<Out>(f(Vec<In, Scalar>((unit >> I & 1) ? in[j] : in[0])...));
}

/// Which inputs move along the row becomes a template argument, one bit at a time.
template <unsigned unit, int bit, class F, class Out, class... In, int... I>
void plain_rows(const F& f, const Block<sizeof...(In)>& b, std::integer_sequence<int, I...> is) {
  if constexpr (bit < static_cast<int>(sizeof...(In))) {
    if (b.unit[bit])
      plain_rows<(unit | 1u << bit), bit + 1, F, Out, In...>(f, b, is);
    else
      plain_rows<unit, bit + 1, F, Out, In...>(f, b, is);
  } else {
    for (std::int64_t r = 0; r < b.rows; ++r)
      plain_row<unit, Out, In...>(f, reinterpret_cast<Stored<Out>*>(b.out) + r * b.out_pitch, b.n, is,
                                  reinterpret_cast<const Stored<In>*>(b.in[I]) + r * b.pitch[I]...);
  }
}

template <class F, class Out, class... In>
void block(const void* rule, const Block<sizeof...(In)>& b) {
  using Is = std::make_integer_sequence<int, sizeof...(In)>;
  const F f = *static_cast<const F*>(rule);  // a copy, which no output can overlap
  if constexpr (use_registers<Out, In...>)
    block_registers<F, Out>(f, b, Is{});
  else
    plain_rows<0, 0, F, Out, In...>(f, b, Is{});
}

/// Not a template over the rule: the nest is compiled once for each number of inputs.
template <int N>
[[gnu::noinline]] inline void run_nest(void (*run)(const void*, const Block<N>&), const void* rule, char* out,
                                       int out_item, const Shape& shape, const NestInput<N>& in) {
  for_each_block(out, out_item, shape, in, [&](const Block<N>& b) { run(rule, b); });
}

}  // namespace elementwise

/// Contiguous operands of one type or of several.
template <class F, class Out, class... In>
inline void map(const F& f, Out* out, std::int64_t n, const In*... in) {
  if constexpr (elementwise::use_registers<Out, In...>) {
    elementwise::row(f, out, n, in...);
  } else {
    constexpr unsigned all = (1u << sizeof...(In)) - 1;
    elementwise::plain_row<all, Out, In...>(f, reinterpret_cast<elementwise::Stored<Out>*>(out), n,
                                            std::make_integer_sequence<int, sizeof...(In)>{},
                                            reinterpret_cast<const elementwise::Stored<In>*>(in)...);
  }
}

/// The same with some operands a single element.
template <class F, class Out, class... In>
inline void map(const F& f, Out* out, std::int64_t n, Repeated repeated, const In*... in) {
  if (n == 0) return;
  int i = 0;
  Block<sizeof...(In)> b = {reinterpret_cast<char*>(out),           n,  1, n,
                            {reinterpret_cast<const char*>(in)...}, {}, {}};
  ((b.unit[i] = (static_cast<void>(in), !(repeated.mask >> i & 1)), ++i), ...);
  elementwise::block<F, Out, In...>(&f, b);
}

/// One block of rows, as the caller laid it out.
template <class F, class Out, class... In>
inline void map_block(const F& f, const Block<sizeof...(In)>& b) {
  elementwise::block<F, Out, In...>(&f, b);
}

/// Any strides, operands of any types.
template <class F, class Out, class... In>
inline void map(const F& f, Out* out, const Shape& shape, const Strides* strides, const In*... in) {
  constexpr int N = sizeof...(In);
  NestInput<N> nest = {{reinterpret_cast<const char*>(in)...}, {}, {static_cast<int>(sizeof(In))...}};
  for (int i = 0; i < N; ++i) nest.strides[i] = strides[i].begin();
  elementwise::run_nest<N>(&elementwise::block<F, Out, In...>, &f, reinterpret_cast<char*>(out),
                           static_cast<int>(sizeof(Out)), shape, nest);
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
