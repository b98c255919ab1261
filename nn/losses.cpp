#include "nn/losses.hpp"

#include "autodiff/graph/recording.hpp"
#include "autodiff/ops/ops.hpp"

namespace wengert::nn {
namespace {

[[noreturn]] void fail_pair(const char* loss, const char* problem, const Tensor& a, const Tensor& b,
                            const SourceLocation& where) {
  throw ShapeError(
      loss, std::string(problem) + ": the prediction is " + describe(a) + ", the target is " + describe(b),
      where);
}

void check_pair(const char* loss, const Tensor& prediction, const Tensor& target,
                const SourceLocation& where) {
  if (prediction.shape() != target.shape()) fail_pair(loss, "the shapes differ", prediction, target, where);
  if (!is_floating(prediction.dtype()))
    throw DTypeError(loss, "the prediction must be floating, it is " + describe(prediction), where);
}

Tensor reduced(const Tensor& losses, Reduction reduction, const SourceLocation& where) {
  switch (reduction) {
    case Reduction::mean:
      return mean(losses, {}, false, where);
    case Reduction::sum:
      return sum(losses, {}, false, where);
    case Reduction::none:
      return losses;
  }
  __builtin_unreachable();
}

/// One loss of class labels: log-probabilities along `axis`, what the options say, who asks.
struct Classes {
  const char* loss;
  const Tensor& log_p;
  int axis;
  const Tensor& weight;
  std::int64_t ignore_index;
  double smoothing;
  Reduction reduction;
  SourceLocation where;

  std::int64_t count() const { return log_p.shape()[axis]; }
};

int class_axis(const char* loss, const Tensor& x, const Tensor& weight, const SourceLocation& where) {
  if (x.ndim() == 0 || !is_floating(x.dtype()))
    throw ShapeError(loss, "needs floating values with an axis of classes, got " + describe(x), where);
  const int axis = x.ndim() == 1 ? 0 : 1;
  if (weight.defined() && weight.shape() != Shape{x.shape()[axis]})
    throw ShapeError(loss,
                     "the weight must have one entry for each of the " + std::to_string(x.shape()[axis]) +
                         " classes, it is " + describe(weight),
                     where);
  return axis;
}

void check_label_types(const Classes& c, const Tensor& labels) {
  Shape expected;
  for (int i = 0; i < c.log_p.ndim(); ++i)
    if (i != c.axis) expected.push_back(c.log_p.shape()[i]);
  if (labels.dtype() != DType::int64)
    throw DTypeError(c.loss, "labels must be int64, they are " + describe(labels), c.where);
  if (labels.shape() != expected)
    throw ShapeError(c.loss,
                     "labels of shape " + to_string(expected) + " expected for " + describe(c.log_p) +
                         ", they are " + describe(labels),
                     c.where);
}

/// Whether some label is the one to ignore. All others must name a class.
bool check_labels(const Classes& c, const Tensor& labels) {
  const Tensor flat = contiguous(labels);
  const auto values = flat.span<std::int64_t>();
  const auto classes = static_cast<std::uint64_t>(c.count());
  bool ignored = false;
  bool wrong = false;
  for (const std::int64_t label : values) {
    const bool ignore = label == c.ignore_index;
    ignored |= ignore;
    wrong |= !ignore && static_cast<std::uint64_t>(label) >= classes;
  }
  for (std::size_t i = 0; wrong && i < values.size(); ++i)
    if (values[i] != c.ignore_index && static_cast<std::uint64_t>(values[i]) >= classes)
      throw IndexError(c.loss,
                       "label " + std::to_string(values[i]) + " at position " + std::to_string(i) +
                           " is not one of " + std::to_string(classes) + " classes",
                       c.where);
  return ignored;
}

/// The weights of the classes in the shape in which they multiply log_p.
Tensor along_classes(const Classes& c) {
  Shape shape = Shape::filled(c.log_p.ndim(), 1);
  shape[c.axis] = c.count();
  return reshape(c.weight, shape, c.where);
}

/// x at the labels, without the axis of classes.
Tensor at_labels(const Classes& c, const Tensor& labels) {
  if (c.axis == c.log_p.ndim() - 1) return take_along_axis(c.log_p, labels, -1, c.where);
  return squeeze(take_along_axis(c.log_p, expand_dims(labels, c.axis, c.where), c.axis, c.where), c.axis,
                 c.where);
}

Tensor label_loss(const Classes& c, const Tensor& labels) {
  const auto at = [&](const Tensor& t) { return Operand(t, c.where); };
  check_label_types(c, labels);
  // A function that is captured has no labels yet: any of them may have to be ignored.
  const bool known = labels.has_value();
  const bool ignored = !known || check_labels(c, labels);
  Tensor keep, weights;
  Tensor safe = labels;
  if (ignored) {
    keep = not_equal(at(labels), c.ignore_index);
    // Below zero would count from the end; this is no class either way.
    if (!known) safe = where(less(at(labels), 0), c.count(), labels);
    safe = where(keep, at(safe), 0);
  }
  Tensor gain = at_labels(c, safe);  // the negative loss
  if (c.weight.defined()) {
    weights = take(c.weight, safe, 0, c.where);
    gain = multiply(at(gain), weights);
    if (ignored) weights = where(keep, at(weights), 0.0);
  }
  if (c.smoothing > 0.0) {
    const Tensor all = c.weight.defined() ? multiply(at(c.log_p), along_classes(c)) : c.log_p;
    const double share = c.smoothing / static_cast<double>(c.count());
    gain = add(multiply(at(gain), 1.0 - c.smoothing), multiply(at(sum(all, c.axis, false, c.where)), share));
  }
  if (ignored) gain = where(keep, at(gain), 0.0);
  if (c.reduction == Reduction::none) return negative(gain, c.where);
  if (c.reduction == Reduction::sum) return negative(sum(gain, {}, false, c.where), c.where);
  if (!c.weight.defined() && !ignored) return negative(mean(gain, {}, false, c.where), c.where);
  const Tensor count =
      sum(weights.defined() ? weights : cast(keep, gain.dtype(), c.where), {}, false, c.where);
  return negative(divide(at(sum(gain, {}, false, c.where)), count), c.where);
}

/// Probabilities as the target: -sum over classes of weight * target * log_p.
Tensor probability_loss(const Classes& c, Tensor target) {
  if (target.shape() != c.log_p.shape())
    fail_pair(c.loss, "probabilities need the shape of the logits", c.log_p, target, c.where);
  const auto at = [&](const Tensor& t) { return Operand(t, c.where); };
  if (c.smoothing > 0.0)
    target = add(multiply(at(target), 1.0 - c.smoothing), c.smoothing / static_cast<double>(c.count()));
  Tensor gain = multiply(at(c.log_p), target);
  if (c.weight.defined()) gain = multiply(at(gain), along_classes(c));
  if (c.reduction == Reduction::none) return negative(sum(gain, c.axis, false, c.where), c.where);
  const Tensor total = negative(sum(gain, {}, false, c.where), c.where);
  if (c.reduction == Reduction::sum) return total;
  return divide(at(total), static_cast<double>(c.log_p.size()) / static_cast<double>(c.count()));
}

}  // namespace

Tensor mse_loss(const Tensor& prediction, const Tensor& target, const LossOptions& options,
                SourceLocation where) {
  check_pair("mse_loss", prediction, target, where);
  return reduced(square(subtract(Operand(prediction, where), target), where), options.reduction, where);
}

Tensor l1_loss(const Tensor& prediction, const Tensor& target, const LossOptions& options,
               SourceLocation where) {
  check_pair("l1_loss", prediction, target, where);
  return reduced(abs(subtract(Operand(prediction, where), target), where), options.reduction, where);
}

Tensor huber_loss(const Tensor& prediction, const Tensor& target, const HuberOptions& options,
                  SourceLocation where) {
  check_pair("huber_loss", prediction, target, where);
  if (!(options.delta > 0.0))
    throw ValueError("huber_loss", "delta must be above 0, got " + std::to_string(options.delta), where);
  const Tensor distance = abs(subtract(Operand(prediction, where), target), where);
  // c (|d| - c / 2) with c = min(|d|, delta) is both branches at once.
  const Tensor cut = minimum(Operand(distance, where), options.delta);
  const Tensor losses = multiply(Operand(cut, where), add_scaled(Operand(distance, where), cut, -0.5));
  return reduced(losses, options.reduction, where);
}

Tensor nll_loss(const Tensor& log_p, const Tensor& labels, const NllOptions& options, SourceLocation where) {
  const int axis = class_axis("nll_loss", log_p, options.weight, where);
  return label_loss(
      {"nll_loss", log_p, axis, options.weight, options.ignore_index, 0.0, options.reduction, where}, labels);
}

Tensor cross_entropy(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& options,
                     SourceLocation where) {
  const int axis = class_axis("cross_entropy", logits, options.weight, where);
  if (!(options.label_smoothing >= 0.0 && options.label_smoothing <= 1.0))
    throw ValueError("cross_entropy",
                     "label_smoothing must be in [0, 1], got " + std::to_string(options.label_smoothing),
                     where);
  const Tensor log_p = log_softmax(logits, axis, where);
  const Classes classes{
      "cross_entropy",   log_p, axis, options.weight, options.ignore_index, options.label_smoothing,
      options.reduction, where};
  return is_floating(target.dtype()) ? probability_loss(classes, target) : label_loss(classes, target);
}

Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target,
                                        const BinaryCrossEntropyOptions& options, SourceLocation where) {
  check_pair("binary_cross_entropy_with_logits", logits, target, where);
  const auto at = [&](const Tensor& t) { return Operand(t, where); };
  // y softplus(-z) + (1 - y) softplus(z): each term is exact where the other vanishes.
  Tensor positive = multiply(at(target), softplus(negative(logits, where), where));
  if (options.pos_weight.defined()) positive = multiply(at(positive), options.pos_weight);
  const Tensor rest = multiply(at(subtract(Operand(1.0, where), target)), softplus(logits, where));
  Tensor losses = add(at(positive), rest);
  if (options.weight.defined()) losses = multiply(at(losses), options.weight);
  return reduced(losses, options.reduction, where);
}

double accuracy(const Tensor& logits, const Tensor& labels, SourceLocation where) {
  NoGrad scope;
  const Shape rows(logits.shape().begin(), static_cast<std::size_t>(std::max(logits.ndim() - 1, 0)));
  if (logits.ndim() == 0 || labels.shape() != rows || labels.dtype() != DType::int64)
    throw ShapeError("accuracy",
                     "logits [..., classes] and int64 labels [...] expected: they are " + describe(logits) +
                         " and " + describe(labels),
                     where);
  const Tensor hits = equal(Operand(argmax(logits, -1, false, where), where), labels);
  return sum(hits, {}, false, where).item<double>() / static_cast<double>(labels.size());
}

}  // namespace wengert::nn
