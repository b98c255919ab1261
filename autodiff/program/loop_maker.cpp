#include "autodiff/program/loop_maker.hpp"

#include <algorithm>

#include "autodiff/kernels/streaming.hpp"
#include "autodiff/program/loop_chains.hpp"
#include "autodiff/program/loop_operands.hpp"
#include "autodiff/program/loop_product.hpp"
#include "autodiff/program/loop_tiles.hpp"

namespace wengert::program {
namespace {

constexpr std::int64_t line = static_cast<std::int64_t>(detail::buffer_alignment);
constexpr std::size_t long_chain = 32;
/// A chain takes arrays in memory in smaller groups of registers when it reads and writes this many, of this
/// size.
constexpr std::size_t streamed_arrays = 3;
constexpr std::int64_t streamed_bytes = 1 << 18;
/// Loops with this many operations on a tile ask for operands beforehand.
constexpr std::size_t fetching_operations = 6;

class LoopMaker : LoopOperands {
 public:
  using LoopOperands::LoopOperands;

  Loop run() && {
    loop_.rows = step_.rows;
    loop_.columns = step_.columns;
    if (step_.product != none) look_at_product(r_, loop_, needs_);
    links_ = find_chains(r_, plan_);
    for (const ChainLink& link : links_) handed_on_ += link.after != none;
    look_around();
    choose_tile(loop_, step_, needs_);
    if (step_.product != none) notes_.slot[g_[step_.product].output] = add_product(r_, loop_, plan_);
    std::uint32_t position = 0;
    loop_.body.reserve(step_.instructions.size());
    for (const std::uint32_t n : step_.instructions) add(n, position++);
    place_temporaries();
    if (loop_.body.size() + handed_on_ >= fetching_operations)
      fetch_ahead(loop_, long_chain_, written_slots_);
    guard_chunks();
    if (loop_.product) fetch_beside_product(loop_, plan_);
    loop_.streams.shrink_to_fit();
    loop_.fixed.shrink_to_fit();
    loop_.temporaries.shrink_to_fit();
    return std::move(loop_);
  }

 private:
  void look_around() {
    // Where each operation runs.
    runs_at_.resize(links_.size());
    for (std::uint32_t end = 0; end < links_.size(); ++end)
      if (links_[end].after == none)
        for (std::uint32_t p = end; p != none; p = links_[p].before) runs_at_[p] = end;
    std::int64_t streams = 0, live = 0, most = 0;
    std::uint32_t position = 0;
    for (const std::uint32_t n : step_.instructions) {
      for (const ValueId v : g_.inputs(g_[n])) {
        std::uint32_t& last = notes_.last[r_.root(v)];
        if (r_.inside(r_.root(v)) && (last == none || last < runs_at_[position])) last = runs_at_[position];
        needs_.item = std::max(needs_.item, static_cast<std::int64_t>(item_size(g_.dtype(v))));
      }
      needs_.item = std::max(needs_.item, static_cast<std::int64_t>(item_size(g_.dtype(g_[n].output))));
      ++position;
    }
    position = 0;
    std::vector<std::int64_t> ends(step_.instructions.size() + 1, 0);
    for (const std::uint32_t n : step_.instructions) {
      const Form& form = s_.forms[n];
      const auto inputs = form.kind == Kind::product ? std::span<const ValueId>() : g_.inputs(g_[n]);
      needs_.whole_rows |= form.kind == Kind::rowwise;
      needs_.sums_rows |= form.kind == Kind::sums_rows && form.columns != 0;
      needs_.sums |= form.kind == Kind::sums_rows;
      for (std::size_t k = 0; k < inputs.size(); ++k) {
        const ValueId r = r_.root(inputs[k]);
        if (r_.inside(r) || form.moves[k] != Moves::full || notes_.read_by[r] == r_.step_number) continue;
        notes_.read_by[r] = r_.step_number;
        ++streams;
      }
      const ValueId out = g_[n].output;
      if (r_.leaves[out]) {
        ++streams;
      } else if (links_[position].after == none || links_[position].stored) {
        most = std::max(most, ++live);
        ++ends[notes_.last[out] == none ? position : notes_.last[out]];
      }
      live -= ends[position++];
    }
    position = 0;
    for (const std::uint32_t n : step_.instructions) {
      const Instruction& i = g_[n];
      const ValueId x = s_.forms[n].kind == Kind::rowwise && i.op->row.in_place ? g_.inputs(i)[0] : none;
      if (x != none && r_.inside(x) && !r_.leaves[x] && notes_.last[x] == position && r_.leaves[i.output] &&
          plan_.buffers[r_.place(i.output).buffer].home == Home::fresh)
        becomes_.emplace(x, i.output);
      ++position;
    }
    needs_.passes = step_.instructions.size() == 1 && as_they_lie(step_.instructions.front());
    spread_ = total() == 1 && step_.instructions.size() >= long_chain;
    needs_.wide_operands = most + streams + 1;
  }

  /// Whether no operand needs a copy as large as a tile.
  bool as_they_lie(std::uint32_t n) const {
    if (s_.forms[n].kind != Kind::elementwise) return true;
    for (std::uint32_t k = 0; k < g_[n].input_count; ++k)
      if (s_.forms[n].moves[k] == Moves::row || s_.forms[n].moves[k] == Moves::column) return false;
    return true;
  }

  // ------------------------------------------------------------------------------------------- operations

  /// The operations of a chain whose last one is this.
  void add_chain(std::uint32_t last) {
    std::vector<std::uint32_t> positions;
    for (std::uint32_t p = last; p != none; p = links_[p].before) positions.push_back(p);
    std::reverse(positions.begin(), positions.end());
    const std::uint32_t n = step_.instructions[last];
    const ValueId out = g_[n].output;
    const bool column = step_.on_column(s_.forms[n]);
    LoopOp o;
    const auto dtype = static_cast<std::size_t>(g_.dtype(out));
    const ChainRunner& runner = *g_[n].op->row.chain[dtype]->runner;
    o.op.kernel = runner.kernel;
    o.extent = column ? Extent::column : Extent::tile;
    auto& steps = plan_.chains.emplace_back();
    arrays_.clear();
    bool is_long = false;
    for (const std::uint32_t p : positions) by_row_ |= row_by_row(step_.instructions[p]);
    for (const std::uint32_t p : positions) {
      const std::uint32_t m = step_.instructions[p];
      const ChainRule& rule = *g_[m].op->row.chain[dtype];
      is_long |= rule.is_long;
      const auto inputs = g_.inputs(g_[m]);
      const auto input = [&](std::size_t k) {
        const ValueId r = r_.root(inputs[k]);
        if (r_.inside(r) && runs_at_[notes_.position[r]] == last) return Operand{notes_.slot[r], false};
        return operand(inputs[k], s_.forms[m].moves[k], true, column);
      };
      std::uint32_t own = links_[p].handed_on;
      if (own == ChainLink::nothing) {
        const Operand x = input(own = 0);
        counted(x.slot);
        if (p == positions.front()) {
          o.op.in[0] = x.slot;
          o.op.repeated = x.repeated ? 1 : 0;
        } else {
          steps.push_back({runner.load[x.repeated], x.slot});
        }
      }
      const std::size_t first = steps.size();
      if (inputs.size() == 1) steps.push_back({rule.step(own, false)});
      for (std::uint32_t k = 0; k < inputs.size(); ++k) {
        if (k == own) continue;
        const Operand x = input(k);
        steps.push_back({steps.size() == first ? rule.step(own, x.repeated) : nullptr, counted(x.slot)});
      }
      if (links_[p].stored) steps.push_back({runner.store, counted(result(g_[m].output, !column, false))});
    }
    const bool in_place = !by_row_;
    const auto free = [&] {
      for (const std::uint32_t p : positions) free_dead(step_.instructions[p], last);
    };
    if (in_place) free();
    o.op.out = counted(result(out, !column, false));
    if (!in_place) free();
    set_moves(o);
    steps.push_back({runner.end, o.op.out});
    steps.shrink_to_fit();
    const bool large = s_.forms[n].elements * item(out) >= streamed_bytes;
    if (large && arrays_.size() == streamed_arrays) o.op.repeated |= streaming_chain;
    o.op.attributes = steps.data();
    if (is_long && !column && long_chain_.steps == nullptr)
      long_chain_ = {loop_.body.size(), &steps, runner.fetch};
    loop_.body.push_back(o);
    if (notes_.last[out] == none && !r_.leaves[out]) give_back(out);
  }

  /// Notes what a chain reads or writes, if it is an array in memory.
  std::uint32_t counted(std::uint32_t slot) {
    if (slot < moving_.size() && moving_[slot] && arrays_.size() < streamed_arrays &&
        std::find(arrays_.begin(), arrays_.end(), slot) == arrays_.end())
      arrays_.push_back(slot);
    return slot;
  }

  void add(std::uint32_t n, std::uint32_t position) {
    if (links_[position].after != none || n == step_.product) return;  // with the last one of its chain
    if (links_[position].before != none) return add_chain(position);
    const Instruction& i = g_[n];
    const Form& form = s_.forms[n];
    if (form.kind == Kind::sums_rows) {
      add_sum(n);
      return free_dead(n, position);
    }
    const auto inputs = g_.inputs(i);
    const bool elementwise = form.kind == Kind::elementwise;
    const bool column = step_.on_column(form);
    by_row_ = row_by_row(n);
    LoopOp o;
    o.op.kernel = i.op->row.kernel[static_cast<int>(g_.dtype(inputs[i.op->row.data_input]))];
    o.op.attributes = g_.attributes(i);
    o.extent = !elementwise ? Extent::rows : column ? Extent::column : Extent::tile;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      const Operand x = operand(inputs[k], form.moves[k], elementwise, column);
      o.op.in[k] = x.slot;
      if (x.repeated) o.op.repeated |= 1u << k;
    }
    // Element by element a result may take the place of an operand of the same size.
    const bool takes_place =
        elementwise ? !by_row_ && std::all_of(inputs.begin(), inputs.end(),
                                              [&](ValueId v) { return item(v) == item(i.output); })
                    : i.op->row.in_place;
    if (takes_place) free_dead(n, position);
    const bool wide = !column && !form.column_result;
    const ValueId out = i.output;
    o.op.out = result(out, wide, !elementwise);
    set_moves(o);
    loop_.body.push_back(o);
    if (!takes_place) free_dead(n, position);
    if (notes_.last[out] == none && !r_.leaves[out]) give_back(out);
  }

  RowKernel kernel_of(const char* name, DType dtype) const {
    return find_operator(name)->row.kernel[static_cast<int>(dtype)];
  }

  void add_sum(std::uint32_t n) {
    const Instruction& i = g_[n];
    const Form& form = s_.forms[n];
    const ValueId x = g_.inputs(i)[0];
    const bool column = step_.on_column(form);
    TileSum sum;
    sum.everything = form.columns == 0;
    sum.slot = new_slot();
    sum.result = r_.place(i.output);
    sum.item = item(x);
    sum.columns = sum.everything ? 1 : form.columns;
    sum.add = kernel_of("add", g_.dtype(x));
    sum.sum = kernel_of("sum", g_.dtype(x));
    sum.part_bytes = sum.everything ? sum.item : (sum.columns * sum.item + line - 1) / line * line + line;
    if (!loop_.flat()) {
      const std::int64_t parts = sum.everything ? loop_.tiles : loop_.chunks;
      sum.parts = parts > 1 ? r_.work_space(static_cast<std::size_t>(sum.part_bytes * parts)) : sum.result;
    }
    const std::uint32_t from = operand(x, Moves::full, false, column).slot;
    LoopOp o;
    if (sum.everything && loop_.flat()) {
      o.op.kernel = sum.sum;
      o.op.out = sum.slot;
      o.op.in[0] = from;
      o.extent = column ? Extent::column : Extent::tile;
      loop_.body.push_back(o);
    } else if (sum.everything) {
      const std::uint32_t part = new_slot();
      temporaries_.push_back({part, false});
      o.op.kernel = sum.sum;
      o.op.out = part;
      o.op.in[0] = from;
      o.extent = column ? Extent::column : Extent::tile;
      loop_.body.push_back(o);
      o.op.kernel = tiles::copy_one;
      o.op.attributes = number_pointer(sum.item);
      o.op.in[0] = part;
      o.op.out = sum.slot;
      o.extent = Extent::rows;
      loop_.body.push_back(o);
    } else {
      o.op.kernel = i.op->row.add_rows[static_cast<int>(g_.dtype(x))];
      o.op.attributes = number_pointer(loop_.rows);
      o.op.in[0] = from;
      o.op.out = sum.slot;
      o.extent = Extent::rows;
      loop_.body.push_back(o);
    }
    loop_.sums.push_back(sum);
  }

  LongChain long_chain_;                // the first one with an elementary function
  std::vector<ChainLink> links_;        // by position
  std::vector<std::uint32_t> runs_at_;  // by position: where its chain ends
  std::size_t handed_on_ = 0;           // results that need no memory
  std::vector<std::uint32_t>
      arrays_;  // slots of the chain that is made: arrays in memory, up to streamed_arrays
};

}  // namespace

Loop make_loop(const LoopRequest& request, Plan& plan) { return LoopMaker(request, plan).run(); }

}  // namespace wengert::program
