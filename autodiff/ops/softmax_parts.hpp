#pragma once

#include "autodiff/graph/rewriting.hpp"

namespace wengert::ops {

/// softmax and log_softmax along the last axis by the operators that they consist of, in a program that is
/// being written again. What is the same in both is computed once, what is elementwise runs in chains, and
/// what only labels are taken from is computed there.
class SoftmaxParts {
 public:
  /// Whether it pays: rows are neither so short that what is done once a row counts, nor so long that they
  /// leave the L1 cache between one operator and the next. The axis is the last one.
  static bool fit(const Rewriting& r);

  /// Of the first input of the call at hand.
  explicit SoftmaxParts(Rewriting& rewriting);
  Rewriting::Value p() const;
  Rewriting::Value log_p() const;

 private:
  Rewriting::Value exponentials() const;

  Rewriting& r_;
  Rewriting::Value shifted_, total_;
};

}  // namespace wengert::ops
