#pragma once

#include <utility>

namespace wengert {

namespace detail {
class Tracer;

/// What this thread does with the operators that it computes.
struct Recording {
  bool enabled = true;
  bool check_finite = false;
  bool keep_values = false;  ///< recorded nodes keep every value, to be computed again (gradcheck)
  Tracer* tracer = nullptr;  ///< not null: operators are written down by it and not computed (capture)
};
inline constinit thread_local Recording recording;

/// Sets a flag for the lifetime of a scope.
class ScopedFlag {
 public:
  ScopedFlag(bool& flag, bool value) : flag_(flag), before_(std::exchange(flag, value)) {}
  ~ScopedFlag() { flag_ = before_; }
  ScopedFlag(const ScopedFlag&) = delete;
  ScopedFlag& operator=(const ScopedFlag&) = delete;

 private:
  bool& flag_;
  bool before_;
};
}  // namespace detail

/// While an object of this type lives, this thread records nothing: results are constants.
/// Example: { NoGrad scope; accuracy = nn::accuracy(net(x), y); }
struct NoGrad : detail::ScopedFlag {
  NoGrad() : ScopedFlag(detail::recording.enabled, false) {}
};

/// The opposite, inside a NoGrad scope.
struct EnableGrad : detail::ScopedFlag {
  EnableGrad() : ScopedFlag(detail::recording.enabled, true) {}
};

/// f() without recording: Tensor y = no_grad([&] { return net(x); });
template <class F>
decltype(auto) no_grad(F&& f) {
  NoGrad scope;
  return std::forward<F>(f)();
}

/// While an object of this type lives, an operator of this thread whose result contains NaN or an infinity
/// that none of its inputs had throws ValueError with its name and the user's line.
struct CheckFinite : detail::ScopedFlag {
  CheckFinite() : ScopedFlag(detail::recording.check_finite, true) {}
};

/// Whether operators on variables are recorded in this thread.
inline bool is_recording() { return detail::recording.enabled; }

}  // namespace wengert
