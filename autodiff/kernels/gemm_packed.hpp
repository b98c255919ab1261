#pragma once

/// \file
/// Products of large matrices with the instruction set of the caller; use gemm.hpp, which decides where they
/// are ahead of BLAS. docs/decisions/products.md has the measurements behind the numbers here.
///
/// C is computed in tiles that are held in registers while terms are added, a block of them at a time. Each
/// element is the same chain of fused multiply-adds whatever the sizes of C, the tiles and the way in which
/// operands are read, so any part of C has the bits that it has in the whole.

#include <algorithm>
#include <cstdint>
#include <utility>

#include "autodiff/kernels/blas.hpp"
#include "autodiff/kernels/transpose.hpp"
#include "autodiff/kernels/vec.hpp"

namespace wengert::kernels {
inline namespace WENGERT_ISA {
namespace packed {

#if WENGERT_SIMD && defined(__AVX512F__)
inline constexpr bool is_here = true;
#else
inline constexpr bool is_here = false;
#endif

/// Where OpenBLAS packs its operands, which it does from a million multiply-adds on.
template <class T>
WENGERT_INLINE bool is_large(std::int64_t m, std::int64_t n, std::int64_t k) {
  if (2 * m * n * k <= packing_flops) return false;
  if constexpr (std::is_same_v<T, float>) return n >= 6;
  return n * k <= std::int64_t(1) << 20;  // B passes through the caches at twice the rate
}

/// Whether a product is computed here. Measured with AVX-512 only; with AVX2 OpenBLAS is ahead by its choice
/// of tiles.
template <class T>
WENGERT_INLINE bool is_ahead(std::int64_t m, std::int64_t n, std::int64_t k) {
  return is_here && is_large<T>(m, n, k);
}

/// Rows of so many elements and more are laid out before they are used. Rows a multiple of 4 KB apart have
/// room for 8 in L1 and 128 in L2, and each lies on a page of its own.
template <class T>
inline constexpr std::int64_t far = 4096 / sizeof(T);
template <class T>
inline constexpr std::int64_t l2_elements = (std::int64_t(1) << 20) / sizeof(T);

/// How many rows of C may be computed at a time without loss, or 0: few where what is read of B stays in L2
/// from one block of rows to the next, and is read as it lies; as many as use a panel of B that has been laid
/// out where it is transposed, if they fit into L2 themselves.
template <class T>
WENGERT_INLINE std::int64_t rows_of_block(bool tb, std::int64_t m, std::int64_t n, std::int64_t k) {
  constexpr std::int64_t few = 32, many = 256;
  if (!is_large<T>(m, n, k) || n >= far<T>) return 0;
  if (tb) return 2 * many * n <= l2_elements<T> ? many : 0;
  return n * k <= l2_elements<T> ? few : 0;
}

/// Matrices that lie as C does and are used with it afterwards: they are fetched into L2 meanwhile.
template <class T>
struct Company {
  const T* at[4] = {};
  int count = 0;
};

#if WENGERT_SIMD && defined(__AVX512F__)

template <class T>
struct Sizes {
  static constexpr int width = Native<T>::width;
  /// A tile: 24 of the 32 registers, 4 for operands.
  static constexpr int rows = 8, registers = 3, columns = registers * width;
  /// Terms of a block, and rows of A that are used while they lie in L2.
  static constexpr std::int64_t terms = 2048 / sizeof(T), block_rows = 256;
  static_assert(sizeof(T) * terms * (block_rows + columns) <= packing_bytes);
};

template <int N, class F>
WENGERT_INLINE void unrolled(F&& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, I>{}), ...);
  }
  (std::make_integer_sequence<int, N>{});
}

/// What a tile is made of.
template <class T>
struct Tile {
  std::int64_t k;
  const T* a;
  std::int64_t a_step;  ///< between rows when they are read by rows, otherwise between terms
  const T* b;
  std::int64_t b_step;
  T* b_copy;  ///< where the rows of B are laid out for the tiles below
  T* c;
  std::int64_t ldc;
  T alpha, beta;
  int last;  ///< how many elements of the last register are columns of C
  Company<T> company;
};

/// The first n elements of a register, and nothing else in memory; 0 < n <= width.
template <class T>
struct Head {
  using V = Native<T>;
  using Bits = std::conditional_t<sizeof(T) == 4, __mmask16, __mmask8>;
  Bits mask;
  WENGERT_INLINE explicit Head(int n) : mask(static_cast<Bits>((1u << n) - 1)) {}
  WENGERT_INLINE V load(const T* p) const {
    if constexpr (sizeof(T) == 4)
      return typename V::Batch(_mm512_maskz_loadu_ps(mask, p));
    else
      return typename V::Batch(_mm512_maskz_loadu_pd(mask, p));
  }
  WENGERT_INLINE void store(V v, T* p) const {
    if constexpr (sizeof(T) == 4)
      _mm512_mask_storeu_ps(p, mask, v.v.data);
    else
      _mm512_mask_storeu_pd(p, mask, v.v.data);
  }
};

/// R rows and N registers of C. A(r, p) is a[r * a_step + p] by_rows and a[p * a_step + r] otherwise.
template <class T, int R, int N, bool by_rows, bool copies>
[[gnu::noinline]] void tile(const Tile<T>& t) {
  using V = Native<T>;
  constexpr int W = V::width;
  // Terms before the end at which C is fetched: what is fetched earlier does not stay in L1.
  constexpr std::int64_t last_terms = 16;
  constexpr int ahead_b = 8, ahead_copy = 16;
  typename V::Lanes sum[R][N];  // of classes the compiler would leave copies in memory
  unrolled<R>([&](auto r) { unrolled<N>([&](auto v) { sum[r][v] = typename V::Lanes{}; }); });
  const T *a = t.a, *b = t.b;
  T* copy = t.b_copy;
  const std::int64_t a_step = t.a_step, b_step = t.b_step;
  const auto add_terms = [&](std::int64_t count) __attribute__((always_inline)) {
    for (; count > 0; --count) {
      V row[N];
      unrolled<N>([&](auto v) { row[v] = V::load(b + v * W); });
      if constexpr (copies) {
        unrolled<N>([&](auto v) {
          row[v].store(copy + v * W);
          __builtin_prefetch(b + ahead_b * b_step + v * W);
          __builtin_prefetch(copy + ahead_copy * Sizes<T>::columns + v * W, 1);
        });
        copy += Sizes<T>::columns;
      }
      unrolled<R>([&](auto r) {
        const V x = V::splat(by_rows ? a + r * a_step : a + r);
        unrolled<N>([&](auto v) { sum[r][v] = fma(x, row[v], V::from_lanes(sum[r][v])).lanes(); });
      });
      b += b_step;
      a += by_rows ? 1 : a_step;
    }
  };
  const std::int64_t first = std::max<std::int64_t>(t.k - last_terms, 0);
  const int fetches = R * t.company.count;
  const std::int64_t part = fetches == 0 ? first : std::max<std::int64_t>(first / fetches, 1);
  int fetched = 0;
  // One loop for all parts, so that its code is there once. Lambdas that only fetch g++ leaves out, as they
  // compute nothing.
  for (std::int64_t done = 0;;) {
    if (done == first)
      for (int r = 0; r < R; ++r)
        for (int v = 0; v < N; ++v) __builtin_prefetch(t.c + r * t.ldc + v * W, 1);
    const std::int64_t count = done < first ? std::min(part, first - done) : t.k - done;
    add_terms(count);
    done += count;
    if (done >= t.k) break;
    if (fetched < fetches) {
      const T* const row = t.company.at[fetched / R] + fetched % R * t.ldc;
      for (int v = 0; v < N; ++v) __builtin_prefetch(row + v * W, 0, 2);
      ++fetched;
    }
  }
  const V alpha(t.alpha), beta(t.beta);
  const Head<T> last(t.last);
  const bool add = t.beta != T(0), whole = t.last == W;
  T* c = t.c;
  unrolled<R>([&](auto r) {
    unrolled<N>([&](auto v) {
      const V product = alpha * V::from_lanes(sum[r][v]);
      T* const to = c + v * W;
      if (v < N - 1 || whole)
        (add ? fma(beta, V::load(to), product) : product).store(to);
      else
        last.store(add ? fma(beta, last.load(to), product) : product, to);
    });
    c += t.ldc;
  });
}

template <class T>
using TileFunction = void (*)(const Tile<T>&);

template <class T, int R, bool by_rows, bool copies>
WENGERT_INLINE TileFunction<T> tile_of(int registers) {
  return registers == 3   ? tile<T, R, 3, by_rows, copies>
         : registers == 2 ? tile<T, R, 2, by_rows, copies>
                          : tile<T, R, 1, by_rows, copies>;
}
template <class T, bool by_rows>
WENGERT_INLINE TileFunction<T> tile_of(int rows, int registers) {
  return rows == 8   ? tile_of<T, 8, by_rows, false>(registers)
         : rows == 4 ? tile_of<T, 4, by_rows, false>(registers)
         : rows == 2 ? tile_of<T, 2, by_rows, false>(registers)
                     : tile_of<T, 1, by_rows, false>(registers);
}

/// `rows` rows of op(A), laid out term after term with the rows of a tile side by side.
template <class T>
WENGERT_INLINE void pack_rows(bool ta, std::int64_t rows, std::int64_t k, const T* a, std::int64_t lda,
                              T* to) {
  constexpr int R = Sizes<T>::rows;
  std::int64_t i = 0;
  if (ta)  // several tiles at a time, whose rows lie in one cache line or two
    for (; i + 4 * R <= rows; i += 4 * R, to += 4 * R * k)
      for (std::int64_t p = 0; p < k; ++p)
        for (int q = 0; q < 4; ++q)
          for (int r = 0; r < R; ++r) to[q * R * k + p * R + r] = a[p * lda + i + q * R + r];
  for (; i < rows; i += R, to += R * k) {
    const std::int64_t count = std::min<std::int64_t>(R, rows - i);
    if (!ta)
      transpose_tile(to, R, a + i * lda, lda, k, count);
    else
      for (std::int64_t p = 0; p < k; ++p)
        for (int r = 0; r < count; ++r) to[p * R + r] = a[p * lda + i + r];
  }
}

/// A panel of op(B) that is stored transposed, row after row.
template <class T>
WENGERT_INLINE void pack_transposed(std::int64_t columns, std::int64_t k, const T* b, std::int64_t ldb,
                                    T* to) {
  constexpr int C = Sizes<T>::columns, W = Sizes<T>::width;
  transpose_tile(to, C, b, ldb, k, columns);
  if (columns % W != 0)  // what the memory held may be numbers that are slow to compute with
    for (std::int64_t p = 0; p < k; ++p)
      std::fill(to + p * C + columns, to + p * C + (columns + W - 1) / W * W, T(0));
}

/// Fetches the next panel of B into L2, a share of it before each tile of this one.
template <class T>
class Fetch {
 public:
  /// `left`: columns behind this panel.
  WENGERT_INLINE Fetch(bool wanted, bool tb, const T* b, std::int64_t ldb, std::int64_t k, std::int64_t left,
                       std::int64_t tiles)
      : ldb_(ldb) {
    const std::int64_t columns = std::min<std::int64_t>(Sizes<T>::columns, left);
    if (!wanted || columns <= 0) return;
    next_ = b + Sizes<T>::columns * (tb ? ldb : 1);
    rows_ = tb ? columns : k;
    width_ = tb ? k : columns;
    share_ = (rows_ + tiles - 1) / tiles;
  }
  WENGERT_INLINE void some() {
    for (std::int64_t i = 0; i < share_ && rows_ > 0; ++i, --rows_, next_ += ldb_)
      for (std::int64_t q = 0; q < width_; q += line) __builtin_prefetch(next_ + q, 0, 2);
  }

 private:
  static constexpr std::int64_t line = 64 / sizeof(T);
  const T* next_ = nullptr;
  std::int64_t ldb_, rows_ = 0, width_ = 0, share_ = 0;
};

/// How operands are read, which is no matter of bits.
struct Reading {
  bool pack_a;   ///< laid out before it is used
  bool copy_b;   ///< laid out by the first tile of a panel
  bool fetch_b;  ///< a panel is fetched into L2 while the one before it is used
  bool fetch_c;  ///< so is a tile of C

  template <class T>
  static Reading of(bool tb, std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t lda,
                    std::int64_t ldb) {
    return {.pack_a = lda >= far<T> && n >= 128,
            .copy_b = !tb && ldb >= far<T> && m >= 64,
            .fetch_b = n * k > 2 * l2_elements<T> && (tb || ldb >= far<T>),
            .fetch_c = m * n > l2_elements<T>};
  }
};

template <class T>
void multiply_beside(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, T alpha, const T* a,
                     std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc,
                     const Company<T>& company) {
  using S = Sizes<T>;
  constexpr int W = S::width;
  const Reading reading = Reading::of<T>(tb, m, n, k, lda, ldb);
  const bool packs = reading.pack_a || reading.copy_b || tb;
  T* const packed_a = packs ? static_cast<T*>(packing_buffer()) : nullptr;
  T* const panel = packs ? packed_a + S::terms * S::block_rows : nullptr;
  const std::int64_t blocks = (k + S::terms - 1) / S::terms, block = (k + blocks * 8 - 1) / (blocks * 8) * 8;
  for (std::int64_t p = 0; p < k; p += block, beta = T(1)) {
    const std::int64_t terms = std::min(block, k - p);
    for (std::int64_t i0 = 0; i0 < m; i0 += S::block_rows) {
      const std::int64_t rows = std::min(S::block_rows, m - i0);
      const T* const a0 = ta ? a + p * lda + i0 : a + i0 * lda + p;
      if (reading.pack_a) pack_rows(ta, rows, terms, a0, lda, packed_a);
      for (std::int64_t j = 0; j < n; j += S::columns) {
        const int columns = static_cast<int>(std::min<std::int64_t>(S::columns, n - j));
        const int registers = (columns + W - 1) / W;
        const T* const b0 = tb ? b + j * ldb + p : b + p * ldb + j;
        if (tb) pack_transposed(columns, terms, b0, ldb, panel);
        Tile<T> t{.k = terms,
                  .a = nullptr,
                  .a_step = reading.pack_a ? S::rows : lda,
                  .b = tb ? panel : b0,
                  .b_step = tb ? S::columns : ldb,
                  .b_copy = panel,
                  .c = nullptr,
                  .ldc = ldc,
                  .alpha = alpha,
                  .beta = beta,
                  .last = columns - (registers - 1) * W,
                  .company = {{}, p + terms == k ? company.count : 0}};
        Fetch<T> coming(reading.fetch_b, tb, b0, ldb, terms, n - j - S::columns,
                        (rows + S::rows - 1) / S::rows);
        for (std::int64_t i = 0; i < rows;) {
          const std::int64_t left = rows - i;
          const int count = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
          t.a = reading.pack_a ? packed_a + (i - i % S::rows) * terms + i % S::rows : a0 + (ta ? i : i * lda);
          t.c = c + (i0 + i) * ldc + j;
          for (int q = 0; q < t.company.count; ++q) t.company.at[q] = company.at[q] + (t.c - c);
          coming.some();
          if (reading.fetch_c && left > S::rows)
            for (int r = 0; r < S::rows; ++r)
              for (int v = 0; v < registers; ++v) __builtin_prefetch(t.c + (S::rows + r) * ldc + v * W, 0, 2);
          const bool by_rows = !reading.pack_a && !ta;
          if (i == 0 && reading.copy_b && count == S::rows) {
            (by_rows ? tile_of<T, S::rows, true, true>(registers)
                     : tile_of<T, S::rows, false, true>(registers))(t);
            t.b = panel;
            t.b_step = S::columns;
          } else {
            (by_rows ? tile_of<T, true>(count, registers) : tile_of<T, false>(count, registers))(t);
          }
          i += count;
        }
      }
    }
  }
}

#else
template <class T>
void multiply_beside(bool, bool, std::int64_t, std::int64_t, std::int64_t, T, const T*, std::int64_t,
                     const T*, std::int64_t, T, T*, std::int64_t, const Company<T>&) {}
#endif

template <class T>
void multiply(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, T alpha, const T* a,
              std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc) {
  multiply_beside(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, {});
}

}  // namespace packed
}  // namespace WENGERT_ISA
}  // namespace wengert::kernels
