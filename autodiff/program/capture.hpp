#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "autodiff/program/statistics.hpp"
#include "autodiff/tensor/tensor.hpp"

namespace wengert {

/// How a function is captured.
struct CaptureOptions {
  /// Most programs kept, one for each signature (shapes and element types of the arguments); the one that was
  /// not used for longest goes first.
  std::size_t programs = 16;
  /// What two threads must gain, in nanoseconds and by a rough estimate, before small steps that don't depend
  /// on each other run side by side.
  std::int64_t least_gain = 2500;
  // Passes, in their order, to be switched off to see what one of them does.
  /// Drops what no result, no state and no random draw needs: first, and once more behind the others.
  bool dead_code = true;
  /// Computes small values that depend on constants only while the function is written down.
  bool fold_constants = true;
  /// Drops views that change nothing, and broadcasts that elementwise operators do by themselves.
  bool simplify = true;
  /// Computes equal calls once.
  bool common_subexpressions = true;
  /// Lets the operators' own rules compute calls in another way; with large results, other last bits.
  bool rewrite = true;
  /// Rewriting may count on intermediate values being of moderate size (no NaN, nothing beyond 2^40) where
  /// that saves work, for example on 0 * x = 0. The program looks whether it holds while it runs; when it
  /// does not, that call and all later ones run a program that assumes nothing.
  bool assume = true;
  /// Elementwise operators, reductions and the like become loops over tiles.
  bool fuse = true;
  /// Loops compute the product that they read, some rows at a time: bias and activation, a bias's gradient,
  /// the update of weights.
  bool fuse_products = true;
};

/// A program to look at: print it, or pipe dot() into Graphviz.
class ProgramListing {
 public:
  ProgramListing(std::string text, std::string dot) : text_(std::move(text)), dot_(std::move(dot)) {}
  /// One line an instruction: "%7 = add(%3, %6) : float32[4, 3] (net.cpp:12) -> %8 %9", behind the arrow who
  /// uses it.
  const std::string& text() const { return text_; }
  /// The same in Graphviz's language. Example: std::ofstream("step.dot") << step.graph().dot();
  const std::string& dot() const { return dot_; }

 private:
  std::string text_, dot_;
};
std::ostream& operator<<(std::ostream& out, const ProgramListing& listing);

namespace detail {

struct KeptProgram;

/// Calls a function of known type: `count` arguments in, its results out.
using ErasedFunction = void (*)(void* function, const Tensor* arguments, std::size_t count, Tensors& results);

/// What is common to all captured functions.
class CaptureCore {
 public:
  CaptureCore(const CaptureOptions& options, const SourceLocation& where);
  /// Of programs without the function that they were recorded from.
  explicit CaptureCore(std::vector<KeptProgram> programs);
  ~CaptureCore();
  CaptureCore(CaptureCore&&) noexcept;
  CaptureCore& operator=(CaptureCore&&) noexcept;

  /// `function` is null when there are only programs. Results whose derivative is asked for keep a weak hold
  /// of `object`. The arguments may be handles that don't count (Borrowed).
  void call(ErasedFunction function, const std::shared_ptr<void>& object, const Tensor* arguments,
            std::size_t count, Tensors& results);
  /// Those that optimised programs are kept of, the last used first.
  std::vector<KeptProgram> kept() const;
  ProgramListing listing() const;
  ProgramStatistics statistics() const;
  std::string report() const;
  std::size_t programs() const;

 private:
  struct Impl;
  void call_counted(ErasedFunction function, const std::shared_ptr<void>& object, const Tensor* arguments,
                    std::size_t count, Tensors& results);
  std::unique_ptr<Impl> impl_;
};

/// Handles of the caller's tensors, for the time of a call, that don't count: a reference count is a locked
/// instruction as soon as a process has threads.
template <std::size_t Count>
union Borrowed {
  Tensor handles[Count + 1];

  template <class... T>
  explicit Borrowed(const T&... tensors) : handles{Tensor::adopt(tensors.get())..., Tensor()} {}
  ~Borrowed() {}
};

template <class R>
struct Results;
template <>
struct Results<void> {
  static void unpack(Tensors&) {}
};
template <>
struct Results<Tensor> {
  static void pack(Tensor&& from, Tensors& to) { to.push_back(std::move(from)); }
  static Tensor unpack(Tensors& from) { return std::move(from[0]); }
};
template <>
struct Results<Tensors> {
  static void pack(Tensors&& from, Tensors& to) { to = std::move(from); }
  static Tensors unpack(Tensors& from) { return std::move(from); }
};
template <class... T>
struct Results<std::tuple<T...>> {
  static_assert((std::is_same_v<T, Tensor> && ...), "a captured function returns tensors");
  static void pack(std::tuple<T...>&& from, Tensors& to) {
    std::apply([&](auto&... t) { (to.push_back(std::move(t)), ...); }, from);
  }
  static std::tuple<T...> unpack(Tensors& from) { return unpack(from, std::index_sequence_for<T...>{}); }
  template <std::size_t... I>
  static std::tuple<T...> unpack(Tensors& from, std::index_sequence<I...>) {
    return {std::move(from[I])...};
  }
};
template <class A, class B>
struct Results<std::pair<A, B>> {
  static_assert(std::is_same_v<A, Tensor>, "a captured function returns tensors");
  static void pack(std::pair<A, B>&& from, Tensors& to) {
    if constexpr (std::is_same_v<B, Tensor>) {
      to.push_back(std::move(from.first));
      to.push_back(std::move(from.second));
    } else {
      to.push_back(std::move(from.first));
      for (Tensor& t : from.second) to.push_back(std::move(t));
    }
  }
  static std::pair<A, B> unpack(Tensors& from) {
    if constexpr (std::is_same_v<B, Tensor>) {
      return {std::move(from[0]), std::move(from[1])};
    } else {
      std::pair<A, B> all;
      all.first = std::move(from[0]);
      for (std::size_t i = 1; i < from.size(); ++i) all.second.push_back(std::move(from[i]));
      return all;
    }
  }
};

}  // namespace detail

/// A captured function: called like the function, it replays a program. See capture().
template <class F>
class Captured {
 public:
  Captured(F function, const CaptureOptions& options, const SourceLocation& where)
      : function_(std::make_shared<F>(std::move(function))), core_(options, where) {}

  template <class... Arguments>
  auto operator()(const Arguments&... arguments) {
    static_assert((std::is_convertible_v<const Arguments&, const Tensor&> && ...),
                  "a captured function takes tensors");
    return call(static_cast<const Tensor&>(arguments)...);
  }

  /// For a function of a Tensors, of any number of tensors.
  auto operator()(const Tensors& arguments) {
    using R = std::decay_t<std::invoke_result_t<F&, const Tensors&>>;
    const auto erased = [](void* object, const Tensor* in, std::size_t count, Tensors& out) {
      Tensors all;
      all.reserve(count);
      for (std::size_t i = 0; i < count; ++i) all.push_back(in[i]);
      detail::Results<R>::pack((*static_cast<F*>(object))(all), out);
    };
    Tensors out;
    core_.call(erased, function_, arguments.begin(), arguments.size(), out);
    if constexpr (std::is_same_v<R, Tensors>)
      return out;
    else
      return detail::Results<R>::unpack(out);
  }

  /// The program of the last call, after the passes. Throws GraphError before the first call.
  ProgramListing graph() const { return core_.listing(); }
  /// The program of the last call in numbers: instructions, passes, operations, bytes moved, peak memory.
  /// Throws GraphError before the first call. Example: step.statistics().flops.
  ProgramStatistics statistics() const { return core_.statistics(); }
  /// The same as text, and how many programs are kept.
  std::string report() const { return core_.report(); }
  /// How many programs are kept at the moment.
  std::size_t programs() const { return core_.programs(); }
  const detail::CaptureCore& core() const { return core_; }

 private:
  template <class... T>
  auto call(const T&... arguments) {
    constexpr std::size_t count = sizeof...(T);
    using R = decltype(invoke(std::declval<F&>(), nullptr, std::make_index_sequence<count>{}));
    const auto erased = [](void* object, const Tensor* in, std::size_t, Tensors& out) {
      constexpr auto all = std::make_index_sequence<count>{};
      if constexpr (std::is_void_v<R>)
        invoke(*static_cast<F*>(object), in, all);
      else
        detail::Results<R>::pack(invoke(*static_cast<F*>(object), in, all), out);
    };
    const detail::Borrowed<count> in(arguments...);
    Tensors out;
    core_.call(erased, function_, in.handles, count, out);
    return detail::Results<R>::unpack(out);
  }

  template <std::size_t... I>
  static decltype(auto) invoke(F& function, [[maybe_unused]] const Tensor* in, std::index_sequence<I...>) {
    return function(in[I]...);
  }

  std::shared_ptr<void> function_;  // an F
  detail::CaptureCore core_;
};

/// The function f of tensors as a program: the first call with arguments of given shapes and element types
/// runs f once to write down what it does, without computing; this call and the later ones replay an
/// optimised program, without allocations and bookkeeping. f may call anything that works on tensors:
/// gradients(), layers, losses, an optimizer's step, random numbers. It returns a Tensor, Tensors, a pair or
/// tuple of tensors, or nothing.
///
/// What f reads besides its arguments: a State (a parameter, an optimizer's moments) is read, and updated, at
/// every call; everything else, tensors and numbers of the surrounding program, is taken by value while f is
/// written down. Random operators draw fresh numbers in every call, the same as f itself would.
///
/// A result is a tensor like any other that nothing changes afterwards. To be fast, differentiate inside of
/// f. gradients() outside goes through a result all the same, to variables among the arguments (for which f
/// itself is run at once) and to states: f is then run again, eagerly, on what the call was given. That is an
/// error for a function that changes states, draws random numbers, or reads variables that are neither
/// arguments nor states, and after the captured function is gone. Within another captured function a call is
/// written down with it. In a CheckFinite scope another program is recorded, which runs the operators one by
/// one and checks each, with the errors of eager code. An exception in the middle of a replay leaves every
/// State as it was. One captured function may be called from several threads, but not, while it runs, from an
/// operator that it runs itself (GraphError). What it consists of can be asked for at any time.
///
/// Large ones run on num_threads() threads. save_program() and load_program() take one to another process.
///
/// Throws GraphError when f reads a value (item, printing) that it is only writing down, with the line.
///
///     auto step = capture([&](const Tensor& x, const Tensor& y) {
///       Tensor loss = nn::cross_entropy(net(x), y);
///       adam.step(gradients(loss, net.parameters()));
///       return loss;
///     });
///     for (auto [x, y] : loader) progress.update(step(x, y).item<float>());
template <class F>
Captured<F> capture(F f, const CaptureOptions& options = {},
                    SourceLocation where = SourceLocation::current()) {
  return Captured<F>(std::move(f), options, where);
}

}  // namespace wengert
