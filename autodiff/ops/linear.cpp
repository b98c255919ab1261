#include "autodiff/ops/linear.hpp"

#include <algorithm>
#include <cstring>

#include "autodiff/graph/apply.hpp"
#include "autodiff/graph/define.hpp"
#include "autodiff/graph/samples.hpp"
#include "autodiff/kernels/copy.hpp"
#include "autodiff/kernels/gemm.hpp"
#include "autodiff/kernels/workers.hpp"
#include "autodiff/ops/arithmetic.hpp"
#include "autodiff/ops/scratch.hpp"
#include "autodiff/ops/structure.hpp"

namespace wengert {
namespace {

/// Which operands are taken with their last two axes exchanged: derivatives multiply by transposes, and so
/// need neither a view nor a copy of them.
struct MatmulAttributes {
  bool transpose_a;
  bool transpose_b;
  template <class V>
  void visit(V&& v) const {
    v("transpose_a", transpose_a);
    v("transpose_b", transpose_b);
  }
};

const OperatorDefinition *matmul_, *matmul_add_;

}  // namespace

namespace ops {
inline namespace WENGERT_ISA {
namespace {

// ---------------------------------------------------------------------------------------------- shape rule

/// The axes before the last two.
[[maybe_unused]] Shape batch_of(const Shape& shape) {
  return Shape(shape.begin(), static_cast<std::size_t>(shape.size() > 2 ? shape.size() - 2 : 0));
}

[[maybe_unused]] Meta product_meta(const Call& call) {
  const auto& flags = call.attrs<MatmulAttributes>();
  const Shape &a = call.shape(0), &b = call.shape(1);
  Meta meta{call.dtype(0), {}};  // filled in place: a copy of a shape just written stalls
  if (call.dtype(1) != meta.dtype) detail::fail_dtypes(call, "the element types differ");
  if (meta.dtype == DType::bool_) detail::fail_dtypes(call, "bool matrices are not multiplied");
  if (a.empty() || b.empty()) detail::fail_shapes(call, "a number is no matrix");
  const std::int64_t inner_a = a.size() == 1 ? a[0] : a.back(flags.transpose_a ? 1 : 0);
  const std::int64_t inner_b = b.size() == 1 ? b[0] : b.back(flags.transpose_b ? 0 : 1);
  if (inner_a != inner_b) detail::fail_shapes(call, "inner dimensions differ");
  if ((a.size() > 2 || b.size() > 2) && !broadcast(batch_of(a), batch_of(b), meta.shape))
    detail::fail_shapes(call, "the batches don't broadcast");
  if (a.size() > 1) meta.shape.push_back(a.back(flags.transpose_a ? 0 : 1));
  if (b.size() > 1) meta.shape.push_back(b.back(flags.transpose_b ? 1 : 0));
  return meta;
}

[[maybe_unused]] std::int64_t product_flops(const Call& call, const Shape& result) {
  const Shape& a = call.shape(0);
  const bool transposed = a.size() > 1 && call.attrs<MatmulAttributes>().transpose_a;
  return 2 * result.elements() * a.back(transposed ? 1 : 0);
}

// --------------------------------------------------------------------------------------------------- kernel

/// An operand as it is multiplied: a matrix for each entry of the batch.
struct Factor {
  std::int64_t rows, cols, row_stride, col_stride;
  Shape batch;
  Strides batch_strides;
  bool transposed = false;   ///< the columns lie consecutively, not the rows
  std::int64_t leading = 1;  ///< distance between those

  /// A vector is a row, or with `column` a column.
  WENGERT_INLINE Factor(const Shape& shape, const Strides& strides, bool transpose, bool column) {
    const int n = shape.size();
    if (n == 1) {
      rows = column ? shape[0] : 1;
      cols = column ? 1 : shape[0];
      row_stride = column ? strides[0] : cols;
      col_stride = column ? 1 : strides[0];
      return;
    }
    const int row = transpose ? n - 1 : n - 2, col = transpose ? n - 2 : n - 1;
    rows = shape[row];
    cols = shape[col];
    row_stride = strides[row];
    col_stride = strides[col];
    for (int i = 0; i < n - 2; ++i) {
      batch.push_back(shape[i]);
      batch_strides.push_back(strides[i]);
    }
  }

  /// Finds the form in which BLAS takes the matrices; false when they lie in neither.
  WENGERT_INLINE bool settle() {
    if ((col_stride == 1 || cols == 1) && (rows == 1 || row_stride >= cols)) {
      transposed = false;
      leading = rows == 1 ? cols : row_stride;
      return true;
    }
    if ((row_stride == 1 || rows == 1) && (cols == 1 || col_stride >= rows)) {
      transposed = true;
      leading = cols == 1 ? rows : col_stride;
      return true;
    }
    return false;
  }
};

/// One product instead of many: when b is the same for the whole batch and the matrices of a lie so that all
/// their rows follow one another at one distance, they are one tall matrix. Gives the number of its rows, or
/// 0.
inline std::int64_t stacked_rows(Factor& a, const Shape& batch, const Strides& strides_a,
                                 const Strides& strides_b) {
  if (a.transposed) return 0;
  std::int64_t rows = a.rows, leading = a.leading;
  for (int i = batch.size() - 1; i >= 0; --i) {
    if (batch[i] == 1) continue;
    if (strides_b[i] != 0) return 0;
    if (rows == 1)
      leading = strides_a[i];
    else if (strides_a[i] != leading * rows)
      return 0;
    rows *= batch[i];
  }
  if (leading < a.cols) return 0;
  a.leading = leading;
  return rows;
}

/// out = scale * (a b) + keep * out.
template <class T>
void product(const Call& call, detail::TensorImpl& out, T scale, T keep) {
  if (out.size == 0) return;
  const auto& flags = call.attrs<MatmulAttributes>();
  const Shape &shape_a = call.shape(0), &shape_b = call.shape(1);
  if (shape_a.size() == 2 && shape_b.size() == 2 && call[0].contiguous && call[1].contiguous)
    return kernels::gemm<T>(flags.transpose_a, flags.transpose_b, out.shape[0], out.shape[1],
                            shape_a[flags.transpose_a ? 0 : 1], scale, call[0].as<T>(), shape_a[1],
                            call[1].as<T>(), shape_b[1], keep, out.as<T>(), out.shape[1]);
  Factor a(call[0].shape, call[0].strides, flags.transpose_a, false);
  Factor b(call[1].shape, call[1].strides, flags.transpose_b, true);
  const Copied<T> copy_a(a.settle() ? nullptr : &call[0]);
  const Copied<T> copy_b(b.settle() ? nullptr : &call[1]);
  if (copy_a) {
    a = Factor(call[0].shape, contiguous_strides(call[0].shape), flags.transpose_a, false);
    a.settle();
  }
  if (copy_b) {
    b = Factor(call[1].shape, contiguous_strides(call[1].shape), flags.transpose_b, true);
    b.settle();
  }
  const T* const pa = copy_a ? copy_a.data() : call[0].as<T>();
  const T* const pb = copy_b ? copy_b.data() : call[1].as<T>();
  const auto multiply = [&](std::int64_t rows, const T* x, const T* y, T* z) {
    kernels::gemm<T>(a.transposed, b.transposed, rows, b.cols, a.cols, scale, x, a.leading, y, b.leading,
                     keep, z, b.cols);
  };
  if (a.batch.empty() && b.batch.empty()) return multiply(a.rows, pa, pb, out.as<T>());

  const Shape batch(out.shape.begin(), static_cast<std::size_t>(std::max(a.batch.size(), b.batch.size())));
  const Strides strides_a = broadcast_strides(a.batch, a.batch_strides, batch);
  const Strides strides_b = broadcast_strides(b.batch, b.batch_strides, batch);
  if (const std::int64_t rows = stacked_rows(a, batch, strides_a, strides_b); rows > 0)
    return multiply(rows, pa, pb, out.as<T>());
  std::int64_t index[max_ndim] = {}, at_a = 0, at_b = 0;
  for (T* z = out.as<T>();; z += a.rows * b.cols) {
    multiply(a.rows, pa + at_a, pb + at_b, z);
    int d = batch.size() - 1;
    for (; d >= 0; --d) {
      at_a += strides_a[d];
      at_b += strides_b[d];
      if (++index[d] < batch[d]) break;
      at_a -= strides_a[d] * batch[d];
      at_b -= strides_b[d] * batch[d];
      index[d] = 0;
    }
    if (d < 0) return;
  }
}

/// What gemm takes, of a product of two contiguous matrices.
[[maybe_unused]] bool product_sizes(const Call& call, DirectSizes& sizes) {
  const auto [ta, tb] = call.attrs<MatmulAttributes>();
  const Shape &a = call.shape(0), &b = call.shape(1);
  if (a.size() != 2 || b.size() != 2) return false;
  sizes = {ta, tb, a[ta ? 1 : 0], b[tb ? 0 : 1], a[ta ? 0 : 1], a[1], b[1]};
  return true;
}
template <class T>
void product_rows(std::byte* const* slots, const RowOp& op, T scale, T keep) {
  const auto& [ta, tb, m, n, k, lda, ldb, unused] = *static_cast<const DirectSizes*>(op.attributes);
  kernels::gemm<T>(ta != 0, tb != 0, m, n, k, scale, reinterpret_cast<const T*>(slots[op.in[0]]), lda,
                   reinterpret_cast<const T*>(slots[op.in[1]]), ldb, keep,
                   reinterpret_cast<T*>(slots[op.out]), n);
}
template <class T>
void product_direct(std::byte* const* slots, const RowOp& op, std::int64_t, std::int64_t) {
  product_rows<T>(slots, op, 1, 0);
}
template <class T>
void product_added_direct(std::byte* const* slots, const RowOp& op, std::int64_t, std::int64_t) {
  const auto& sizes = *static_cast<const DirectSizes*>(op.attributes);
  if (slots[op.out] != slots[op.in[2]])  // not in place
    std::memcpy(slots[op.out], slots[op.in[2]], static_cast<std::size_t>(sizes[2] * sizes[3]) * sizeof(T));
  product_rows<T>(slots, op, *reinterpret_cast<const T*>(slots[op.in[3]]), 1);
}

/// Rows of a product that are computed at a time for a loop: of whole cache lines, whatever the element type.
[[maybe_unused]] std::int64_t product_rows_at_once(const Call& call) {
  DirectSizes sizes;
  if (!is_floating(call.dtype(0)) || !product_sizes(call, sizes)) return 0;
  const auto& [ta, tb, m, n, k, lda, ldb, unused] = sizes;
  const std::int64_t rows = call.dtype(0) == DType::float32
                                ? kernels::packed::rows_of_block<float>(tb != 0, m, n, k)
                                : kernels::packed::rows_of_block<double>(tb != 0, m, n, k);
  // Threads share it between blocks of rows then, and only there; smaller products gain nothing.
  const std::int64_t fewest = (tb != 0 ? 4 : 8) * rows;
  return 2 * m * n * k >= kernels::cut_flops && m > fewest && n % 16 == 0 ? rows : 0;
}
template <class T>
void some_rows(std::byte* const* slots, const RowOp& op, std::int64_t rows, std::int64_t) {
  const auto& some = *static_cast<const SomeRows*>(op.attributes);
  const auto& [ta, tb, m, n, k, lda, ldb, unused] = some.sizes;
  kernels::packed::Company<T> company{{}, static_cast<int>(some.fetches)};
  for (std::uint32_t i = 0; i < some.fetches; ++i)
    company.at[i] = reinterpret_cast<const T*>(slots[some.fetched[i]]);
  kernels::packed::multiply_beside<T>(
      ta != 0, tb != 0, rows, n, k, 1, reinterpret_cast<const T*>(slots[op.in[0]]), lda,
      reinterpret_cast<const T*>(slots[op.in[1]]), ldb, 0, reinterpret_cast<T*>(slots[op.out]), n, company);
}

inline void product_kernel(const Call& call, detail::TensorImpl& out) {
  switch (out.dtype) {
    case DType::float32:
      return product<float>(call, out, 1, 0);
    case DType::float64:
      return product<double>(call, out, 1, 0);
    default:
      return product<std::int64_t>(call, out, 1, 0);
  }
}

template <class T>
void product_added(const Call& call, detail::TensorImpl& out) {
  const detail::TensorImpl& c = call[2];
  if (out.data != c.data || !c.contiguous)  // not in place
    kernels::copy(out.data, out.strides, c.data, c.strides, c.shape, static_cast<int>(sizeof(T)));
  product<T>(call, out, *call[3].as<T>(), 1);
}
inline void product_added_kernel(const Call& call, detail::TensorImpl& out) {
  out.dtype == DType::float32 ? product_added<float>(call, out) : product_added<double>(call, out);
}

// ---------------------------------------------------------------------------------------------- derivatives

[[maybe_unused]] Tensor multiply(const Call& call, const Tensor& a, bool transpose_a, const Tensor& b,
                                 bool transpose_b) {
  const MatmulAttributes flags{transpose_a, transpose_b};
  detail::TensorImpl* const inputs[] = {a.get(), b.get()};
  return apply_op(*matmul_, inputs, 2, &flags, call.where);
}

[[maybe_unused]] Tensor shaped(const Call& call, const Tensor& x, const Shape& shape) {
  return x.shape() == shape ? x : reshape(x, shape, call.where);
}

/// For C = A B with A = a or a^T and B = b or b^T: dA = G B^T and dB = A^T G, or their transposes.
[[maybe_unused]] Tensors product_vjp(const Call& call, const Tensor& cotangent) {
  const auto [ta, tb] = call.attrs<MatmulAttributes>();
  if (call.shape(0).size() == 2 && call.shape(1).size() == 2) {
    Tensors result(2);
    if (call.wants(0)) {
      const Tensor b = call.input(1);
      result[0] = ta ? multiply(call, b, tb, cotangent, true) : multiply(call, cotangent, false, b, !tb);
    }
    if (call.wants(1)) {
      const Tensor a = call.input(0);
      result[1] = tb ? multiply(call, cotangent, true, a, ta) : multiply(call, a, !ta, cotangent, false);
    }
    return result;
  }
  // Vectors as the matrices of one row or column that they stand for.
  Shape shape_a = call.shape(0), shape_b = call.shape(1), shape_g = call.result->shape;
  if (shape_b.size() == 1) {
    shape_b = {shape_b[0], 1};
    shape_g.push_back(1);
  }
  if (shape_a.size() == 1) {
    shape_a = {1, shape_a[0]};
    const std::int64_t n = shape_g.back();
    shape_g[shape_g.size() - 1] = 1;
    shape_g.push_back(n);
  }
  const Tensor g = shaped(call, cotangent, shape_g);
  Tensors result(2);
  if (call.wants(0)) {
    const Tensor b = shaped(call, call.input(1), shape_b);
    const Tensor d = ta ? multiply(call, b, tb, g, true) : multiply(call, g, false, b, !tb);
    result[0] = shaped(call, sum_to(d, shape_a, call.where), call.shape(0));
  }
  if (call.wants(1)) {
    Tensor a = shaped(call, call.input(0), shape_a);
    Tensor h = g;
    // One product of tall matrices instead of a batch of them that is then summed.
    if (!ta && shape_a.size() > 2 && batch_of(shape_b).elements() == 1 && a.size() > 0) {
      a = shaped(call, a, {a.size() / shape_a.back(), shape_a.back()});
      h = shaped(call, h, {a.size() / shape_a.back(), shape_g.back()});
    }
    const Tensor d = tb ? multiply(call, h, true, a, ta) : multiply(call, a, !ta, h, false);
    result[1] = d.size() == shape_b.elements() ? shaped(call, d, call.shape(1))
                                               : shaped(call, sum_to(d, shape_b, call.where), call.shape(1));
  }
  return result;
}

// -------------------------------------------------------------------------------------------------- samples

[[maybe_unused]] Samples products() {
  const auto v = samples::values;
  constexpr MatmulAttributes plain{false, false};
  return Samples()
      .with({v({2, 3}, 0), v({3, 4}, 1)}, plain)
      .with({v({3, 2}, 2), v({3, 4}, 3)}, MatmulAttributes{true, false})
      .with({v({2, 3}, 4), v({4, 3}, 5)}, MatmulAttributes{false, true})
      .with({v({3, 2}, 6), v({4, 3}, 7)}, MatmulAttributes{true, true})
      .with({v({3}, 8), v({3}, 9)}, plain)
      .with({v({3}, 10), v({3, 2}, 11)}, plain)
      .with({v({2, 3}, 12), v({3}, 13)}, plain)
      .with({v({2, 2, 3}, 14), v({3}, 15)}, plain)
      .with({v({3}, 16), v({2, 3, 2}, 17)}, plain)
      .with({v({2, 2, 3}, 18), v({3, 2}, 19)}, plain)
      .with({v({2, 3, 2}, 20), v({3, 2}, 21)}, MatmulAttributes{true, false})
      .with({v({2, 2, 3}, 22), v({2, 3}, 23)}, MatmulAttributes{false, true})
      .with({v({2, 3}, 24), v({2, 3, 2}, 25)}, plain)
      .with({v({2, 1, 2, 3}, 26), v({3, 3, 2}, 27)}, plain)
      .with({v({2, 1, 3, 2}, 28), v({3, 2, 3}, 29)}, MatmulAttributes{true, true})
      .with({v({2, 0}, 30), v({0, 3}, 31)}, plain)
      .with({v({0, 2}, 32), v({2, 3}, 33)}, plain)
      .with({v({0, 2, 3}, 34), v({3, 2}, 35)}, plain);
}

[[maybe_unused]] Samples product_errors() {
  constexpr MatmulAttributes plain{false, false};
  return Samples()
      .with({zeros({64, 784}), zeros({128, 10})}, plain)
      .fails_with("inner dimensions differ: a is float32[64, 784], b is float32[128, 10]")
      .with({zeros({2, 4, 3}), zeros({3, 3, 2})}, plain)
      .fails_with("the batches don't broadcast: a is float32[2, 4, 3], b is float32[3, 3, 2]")
      .with({zeros({}), zeros({3})}, plain)
      .fails_with("a number is no matrix: a is float32[], b is float32[3]")
      .with({zeros({2, 3}, DType::bool_), zeros({3, 2}, DType::bool_)}, plain)
      .fails_with("bool matrices are not multiplied");
}

}  // namespace

void linear() {
  matmul_add_ = define({
      .name = "matmul_add",
      .doc = "c + scale * (a b): a product added to something in one pass over it",
      .contract = "the last bits are those of a sum that begins with c",
      .inputs = 4,
      .attributes = attributes_of<MatmulAttributes>,
      .infer =
          [](const Call& call) {
            const Meta meta = product_meta(call);
            if (!is_floating(meta.dtype)) detail::fail_dtypes(call, "takes float32 and float64");
            if (call.dtype(2) != meta.dtype || call.dtype(3) != meta.dtype)
              detail::fail_dtypes(call, "the element types differ");
            if (call.shape(2) != meta.shape) detail::fail_shapes(call, "c does not have the product's shape");
            if (call.shape(3).elements() != 1) detail::fail_shapes(call, "the scale is no number");
            return meta;
          },
      .kernel = product_added_kernel,
      .row = {.kernel = {nullptr, nullptr, product_added_direct<float>, product_added_direct<double>},
              .direct = product_sizes},
      .reads = reads_inputs(0, 1, 2, 3),
      .compose =
          [](const Call& call) {
            const Tensor ab = apply_op(*matmul_, {call.input(0), call.input(1)}, call.attributes, call.where);
            const Tensor scale = reshape(call.input(3), {}, call.where);
            return add(Operand(call.input(2), call.where), wengert::multiply(Operand(ab, call.where), scale));
          },
      .overwrites = 2,
      .flops = [](const Call& call,
                  const Shape& result) { return matmul_->flops(call, result) + 2 * result.elements(); },
      .samples =
          [] {
            Samples list;
            const Samples factors = products();
            for (const Sample& s : factors.list()) {
              MatmulAttributes flags;
              std::memcpy(&flags, s.attribute_data(), sizeof flags);
              const Shape shape = apply_op(*matmul_, s.inputs, &flags, {}).shape();
              list.with({s.inputs[0], s.inputs[1], samples::values(shape, 40), samples::values({}, 41)},
                        flags);
            }
            return list;
          },
      .errors =
          [] {
            constexpr MatmulAttributes plain{false, false};
            const auto v = samples::values;
            return Samples()
                .with({v({2, 3}, 0), v({3, 4}, 1), v({4, 2}, 2), v({}, 3)}, plain)
                .fails_with("c does not have the product's shape")
                .with({v({2, 3}, 0), v({3, 4}, 1), v({2, 4}, 2), v({2}, 3)}, plain)
                .fails_with("the scale is no number")
                .with({v({2, 3}, 0), v({2, 4}, 1), v({2, 4}, 2), v({}, 3)}, plain)
                .fails_with("inner dimensions differ");
          },
  });
  matmul_ = define({
      .name = "matmul",
      .doc = "a b, the matrix product",
      .contract = "0 along an empty inner axis",
      .inputs = 2,
      .attributes = attributes_of<MatmulAttributes>,
      .infer = product_meta,
      .kernel = product_kernel,
      .row = {.kernel = {nullptr, product_direct<std::int64_t>, product_direct<float>,
                         product_direct<double>},
              .direct = product_sizes,
              .rows_at_once = product_rows_at_once,
              .some_rows = {nullptr, nullptr, kernels::packed::is_here ? some_rows<float> : nullptr,
                            kernels::packed::is_here ? some_rows<double> : nullptr}},
      .reads = reads_inputs(0, 1),
      .vjp = product_vjp,
      .jvp =
          [](const Call& call, const Tensors& t) {
            const auto with = [&](const Tensor& a, const Tensor& b) {
              return apply_op(call.op, {a, b}, call.attributes, call.where);
            };
            if (!t[1].defined()) return with(t[0], call.input(1));
            const Tensor right = with(call.input(0), t[1]);
            return t[0].defined() ? add(Operand(with(t[0], call.input(1)), call.where), right) : right;
          },
      // A transposed matrix is multiplied as it lies.
      .rewrite =
          [](Rewriting& r) {
            static const OperatorDefinition& transpose = *find_operator("transpose");
            auto flags = r.call->attrs<MatmulAttributes>();
            Rewriting::Value factors[] = {r.inputs[0], r.inputs[1]};
            bool* const flag[] = {&flags.transpose_a, &flags.transpose_b};
            for (int i = 0; i < 2; ++i) {
              const Shape& shape = r.shape_of(factors[i]);
              if (r.op(factors[i]) != &transpose || shape.size() != 2 || shape[0] == 1 || shape[1] == 1)
                continue;  // of a vector the transpose may be multiplied in another order
              factors[i] = r.inputs_of(factors[i])[0];
              *flag[i] = !*flag[i];
            }
            const bool same = factors[0] == r.inputs[0] && factors[1] == r.inputs[1];
            return same ? r.none : r.make(*matmul_, {factors[0], factors[1]}, &flags);
          },
      .accumulating = matmul_add_,
      .flops = product_flops,
      .samples = [] { return products(); },
      .errors = [] { return product_errors(); },
  });
}

}  // namespace WENGERT_ISA
}  // namespace ops

#ifndef WENGERT_VARIANT

Tensor matmul(const Operand& a, const Operand& b) { return matmul(a, b, {}); }

Tensor matmul(const Operand& a, const Operand& b, const MatmulOptions& options) {
  const MatmulAttributes flags{options.transpose_a, options.transpose_b};
  if (a.is_tensor() && b.is_tensor() && a.tensor().dtype() == b.tensor().dtype())
    return apply_op(*matmul_, {a.tensor(), b.tensor()}, &flags, a.where());
  const DType dtype = detail::common_dtype(a, b);
  return apply_op(*matmul_, {detail::as_tensor(a, dtype), detail::as_tensor(b, dtype)}, &flags, a.where());
}

#endif

}  // namespace wengert
