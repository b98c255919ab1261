#include "autodiff/program/statistics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "autodiff/program/count.hpp"

namespace wengert {
namespace program {

std::int64_t flops(const Graph& g, const Instruction& i) {
  if (i.op->view) return 0;
  bool floating = is_floating(g.dtype(i.output));
  for (const ValueId v : g.inputs(i)) floating |= is_floating(g.dtype(v));
  if (!floating) return 0;
  if (i.op->flops != nullptr) return i.op->flops(g.describe(i), g.shape(i.output));
  return i.op->flops_per_element * g.elements(i.output);
}

namespace {

std::int64_t bytes_moved(const Graph& g, const Schedule& s) {
  const auto step_of = [&](ValueId v) {
    const Value& value = g.value(v);
    return value.source == Source::instruction ? s.step_of[value.index] : none;
  };
  const auto seen = [&](ValueId v) { return std::min(g.bytes(v), g.bytes(s.layouts[v].root)); };
  std::vector<bool> leaves(g.values().size(), false);
  const auto leave = [&](ValueId v) { leaves[s.layouts[v].root] = true; };
  for (const ValueId v : g.outputs()) leave(v);
  for (const StateUse& state : g.states())
    if (state.after != state.before) leave(state.after);
  std::vector<std::uint32_t> last_read(g.values().size(), none);
  std::size_t bytes = 0;
  for (std::uint32_t step = 0; step < s.steps.size(); ++step)
    for (const std::uint32_t n : s.steps[step].instructions)
      for (const ValueId v : g.inputs(g[n])) {
        if (step_of(s.layouts[v].root) == step || last_read[v] == step) continue;
        last_read[v] = step;
        leave(v);
        bytes += seen(v);
      }
  for (const Instruction& i : g.instructions())
    if (!i.op->view && (leaves[i.output] || !s.steps[step_of(i.output)].loop)) bytes += g.bytes(i.output);
  return static_cast<std::int64_t>(bytes);
}

}  // namespace

void count(const Graph& graph, const Schedule& schedule, const Plan& plan, ProgramStatistics& counts) {
  counts.instructions = graph.size();
  counts.steps = schedule.steps.size();
  counts.loops = 0;
  counts.products = 0;
  for (const Step& step : schedule.steps) {
    counts.loops += step.loop;
    counts.products += step.product != none;
  }
  counts.groups = plan.groups.size();
  counts.steps_grouped = 0;
  for (const Group& group : plan.groups) counts.steps_grouped += group.last_step - group.first_step + 1;
  counts.flops = 0;
  for (const Instruction& i : graph.instructions()) counts.flops += flops(graph, i);
  counts.bytes_moved = bytes_moved(graph, schedule);
  counts.arena_bytes = plan.arena_bytes;
  counts.frame_bytes = plan.frame_bytes;
  for (const Buffer& b : plan.buffers) {
    if (b.home == Home::fresh) counts.result_bytes += b.bytes;
    if (b.home == Home::new_state && !plan.in_place[b.index]) counts.new_state_bytes += b.bytes;
    if (b.home == Home::argument) counts.argument_bytes += b.bytes;
    if (b.home == Home::constant) counts.constant_bytes += b.bytes;
    if (b.home == Home::state) counts.state_bytes += b.bytes;
  }
}

}  // namespace program

namespace {

std::string with_unit(double value, const char* unit) {
  constexpr const char* scales[] = {"", "k", "M", "G", "T", "P"};
  std::size_t scale = 0;
  while (value >= 9999.5 && scale + 1 < std::size(scales)) {
    value /= 1000;
    ++scale;
  }
  return fmt::format("{:.{}f} {}{}", value, scale == 0 ? 0 : 1, scales[scale], unit);
}

std::string bytes_text(std::size_t bytes) { return with_unit(static_cast<double>(bytes), "B"); }

}  // namespace

std::string to_string(const ProgramStatistics& s) {
  std::string passes;
  for (const PassStatistics& pass : s.passes)
    if (pass.after != pass.before)
      passes += fmt::format("{}{} {:+}", passes.empty() ? "" : ", ", pass.name,
                            static_cast<std::int64_t>(pass.after) - static_cast<std::int64_t>(pass.before));
  std::string groups;
  if (s.products != 0) groups = fmt::format(", {} with a product", s.products);
  if (s.groups != 0)
    groups += fmt::format("; {} steps in {} group{} side by side", s.steps_grouped, s.groups,
                          s.groups == 1 ? "" : "s");
  std::string assumptions;
  if (s.assumptions != 0)
    assumptions = fmt::format(", assuming that {} value{} bounded", s.assumptions,
                              s.assumptions == 1 ? " is" : "s are");
  return fmt::format(
      "{} operators recorded, {} after the passes ({}){}\n"
      "{} steps a run ({} loops{}): {}, {} moved\n"
      "peak memory {}: {} of intermediate values, {} of tiles, {} of results, {} of states",
      s.recorded, s.instructions, passes.empty() ? "no change" : passes, assumptions, s.steps, s.loops,
      groups, with_unit(static_cast<double>(s.flops), "flop"),
      with_unit(static_cast<double>(s.bytes_moved), "B"), bytes_text(s.peak_bytes()),
      bytes_text(s.arena_bytes), bytes_text(s.frame_bytes), bytes_text(s.result_bytes),
      bytes_text(s.new_state_bytes));
}

std::ostream& operator<<(std::ostream& out, const ProgramStatistics& s) { return out << to_string(s); }

}  // namespace wengert
