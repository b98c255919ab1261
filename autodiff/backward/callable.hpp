#pragma once

#include <type_traits>

#include "autodiff/tensor/tensor.hpp"

namespace wengert::detail {

[[noreturn]] void fail_argument_count(const char* caller, int expected, std::size_t inputs,
                                      const SourceLocation& where);

/// f called with the tensors of a list, for an f that takes one tensor, two, three, or a Tensors.
/// Throws ValueError in the name of `caller` when their number is another one.
template <class F>
Tensor call_with(F& f, const Tensors& in, const char* caller, const SourceLocation& where = {}) {
  using T = const Tensor&;
  const auto expect = [&](int count) {
    if (in.size() != static_cast<std::size_t>(count)) fail_argument_count(caller, count, in.size(), where);
  };
  if constexpr (std::is_invocable_r_v<Tensor, F&, T>) {
    expect(1);
    return f(in[0]);
  } else if constexpr (std::is_invocable_r_v<Tensor, F&, T, T>) {
    expect(2);
    return f(in[0], in[1]);
  } else if constexpr (std::is_invocable_r_v<Tensor, F&, T, T, T>) {
    expect(3);
    return f(in[0], in[1], in[2]);
  } else {
    return f(in);
  }
}

}  // namespace wengert::detail
