#pragma once

#include "autodiff/tensor/tensor.hpp"

namespace wengert::nn {

/// \defgroup losses Losses
/// Compositions of differentiable operators, with the meaning that PyTorch gives their names. They take
/// options by name: mse_loss(y, target, {.reduction = Reduction::sum}). Unlike PyTorch's, the regression
/// losses throw ShapeError when shapes differ: silent broadcasting of [n, 1] against [n] is hardly ever
/// meant.

/// What becomes of the losses of the single entries: their mean, their sum, or all of them.
enum class Reduction { mean, sum, none };

struct LossOptions {
  Reduction reduction = Reduction::mean;
};

/// (prediction - target)^2.
Tensor mse_loss(const Tensor& prediction, const Tensor& target, const LossOptions& options = {},
                SourceLocation where = SourceLocation::current());

/// |prediction - target|. Derivative at 0: 0.
Tensor l1_loss(const Tensor& prediction, const Tensor& target, const LossOptions& options = {},
               SourceLocation where = SourceLocation::current());

struct HuberOptions {
  double delta = 1.0;
  Reduction reduction = Reduction::mean;
};
/// d^2 / 2 for |d| <= delta and delta (|d| - delta / 2) beyond, where d = prediction - target. Throws
/// ValueError unless delta > 0.
/// Source: P. Huber, Robust estimation of a location parameter, 1964.
Tensor huber_loss(const Tensor& prediction, const Tensor& target, const HuberOptions& options = {},
                  SourceLocation where = SourceLocation::current());

struct NllOptions {
  Tensor weight = {};                ///< [k]: a factor for each class
  std::int64_t ignore_index = -100;  ///< entries with this label don't count
  Reduction reduction = Reduction::mean;
};
/// -weight[label] log_p[label] for log-probabilities [n, k], [k] or [n, k, ...] and int64 labels [n], [] or
/// [n, ...]. The mean divides by the sum of the weights of the labels that count; with none it is NaN.
/// Throws ShapeError, DTypeError, and IndexError for a label that is neither in [0, k) nor ignore_index.
/// Example: nll_loss(log_softmax(logits), labels).
Tensor nll_loss(const Tensor& log_p, const Tensor& labels, const NllOptions& options = {},
                SourceLocation where = SourceLocation::current());

struct CrossEntropyOptions {
  Tensor weight = {};                ///< [k]: a factor for each class
  std::int64_t ignore_index = -100;  ///< entries with this label don't count
  double label_smoothing = 0.0;      ///< this much of each target is spread evenly over the classes
  Reduction reduction = Reduction::mean;
};
/// Cross-entropy of softmax(logits) with a target: int64 labels, as nll_loss takes them, or probabilities of
/// the logits' shape. Stable for logits of any size. For probabilities the mean divides by the number of
/// entries, weighted or not. With label smoothing s a target t becomes (1 - s) t + s / k. Throws as nll_loss,
/// and ValueError unless 0 <= label_smoothing <= 1.
/// Source of the smoothing: C. Szegedy et al., Rethinking the inception architecture, CVPR 2016, section 7.
///
///     Tensor loss = nn::cross_entropy(net(x), labels, {.label_smoothing = 0.1});
Tensor cross_entropy(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& options = {},
                     SourceLocation where = SourceLocation::current());

struct BinaryCrossEntropyOptions {
  Tensor weight = {};      ///< a factor for each entry; broadcasts
  Tensor pos_weight = {};  ///< a factor for the positive part of each entry; broadcasts
  Reduction reduction = Reduction::mean;
};
/// -(pos_weight y log p + (1 - y) log(1 - p)) with p = sigmoid(logits) and targets y in [0, 1], stable for
/// logits of any size and exact when they are large. The mean divides by the number of entries.
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target,
                                        const BinaryCrossEntropyOptions& options = {},
                                        SourceLocation where = SourceLocation::current());

/// The share of rows of `logits` [..., k] whose largest entry stands at the label, in [0, 1]; NaN without
/// rows. Throws ShapeError unless labels are int64 [...].
double accuracy(const Tensor& logits, const Tensor& labels, SourceLocation where = SourceLocation::current());

}  // namespace wengert::nn
