#include "autodiff/program/loop_operands.hpp"

#include <algorithm>

namespace wengert::program {
namespace {

constexpr std::int64_t line = static_cast<std::int64_t>(detail::buffer_alignment);
/// Columns from which on an operator runs row by row rather than with numbers of rows copied to whole tiles.
constexpr std::int64_t shortest_row = 128;

}  // namespace

const void* LoopOperands::number_pointer(std::int64_t number) {
  for (const std::int64_t& known : plan_.numbers)
    if (known == number) return &known;
  return &plan_.numbers.emplace_back(number);
}

std::uint32_t LoopOperands::stream(const Place& place, Moves moves, std::int64_t bytes) {
  const auto [known, fresh] = streams_.try_emplace({place.buffer, place.offset, moves}, loop_.slots);
  if (!fresh) return known->second;
  Stream s{new_slot(), place, 0, 0};
  if (moves == Moves::full) s.row_bytes = loop_.columns * bytes;
  if (moves == Moves::column) s.row_bytes = bytes;
  if (moves == Moves::full || moves == Moves::row) s.column_bytes = bytes;
  const bool still = (s.row_bytes == 0 || loop_.rows == loop_.tile_rows) &&
                     (s.column_bytes == 0 || loop_.columns == loop_.tile_columns);
  (still ? loop_.fixed : loop_.streams).push_back(s);
  if (!still && moves == Moves::full) {
    moving_.resize(loop_.slots);
    moving_[s.slot] = true;
  }
  return s.slot;
}

std::uint32_t LoopOperands::written(ValueId v, Moves moves, bool by_rows) {
  const std::uint32_t slot = stream(r_.place(v), moves, item(v));
  const auto s = std::find_if(loop_.streams.begin(), loop_.streams.end(),
                              [&](const Stream& moving) { return moving.slot == slot; });
  if (s == loop_.streams.end()) return slot;  // a single tile
  written_slots_.insert(slot);
  const auto number = static_cast<std::uint32_t>(s - loop_.streams.begin());
  if (std::any_of(loop_.written.begin(), loop_.written.end(),
                  [&](const Written& w) { return w.stream == number; }))
    return slot;  // changed in place
  const bool full = moves == Moves::full;
  const bool rows_on_lines = loop_.rows == 1 || loop_.column_tiles == 1 || s->row_bytes % line == 0;
  const std::int64_t row_bytes = by_rows && full ? loop_.columns * item(v) : 0;
  if (tile_bytes(full, item(v)) % line != 0 || row_bytes % line != 0 || !rows_on_lines ||
      !(full || loop_.column_tiles == 1))
    loop_.written.push_back({number, 0, full, item(v), row_bytes});
  return slot;
}

std::int64_t LoopOperands::tile_bytes(bool full, std::int64_t item_bytes) const {
  return (full ? loop_.tile_rows * loop_.tile_columns : loop_.tile_rows) * item_bytes;
}

std::uint32_t LoopOperands::temporary(bool wide) {
  auto& spare = wide ? spare_wide_ : spare_narrow_;
  if (!spare.empty()) {
    const std::uint32_t slot = spare.back();
    spare.pop_back();
    return slot;
  }
  const std::uint32_t slot = new_slot();
  temporaries_.push_back({slot, wide});
  return slot;
}

std::uint32_t LoopOperands::made(std::vector<LoopOp>& where, std::uint32_t slot, std::int64_t bytes,
                                 RowKernel kernel) {
  const auto [at, fresh] = expanded_.try_emplace(slot, 0);
  if (fresh) {
    at->second = new_slot();
    temporaries_.push_back({at->second, true});
    LoopOp o;
    o.op.kernel = kernel;
    o.op.attributes = number_pointer(bytes);
    o.op.out = at->second;
    o.op.in[0] = slot;
    o.extent = Extent::rows;
    where.push_back(o);
  }
  return at->second;
}

std::uint32_t LoopOperands::expanded(std::uint32_t slot, std::int64_t bytes) {
  return made(loop_.body, slot, bytes, tiles::expand_column);
}

std::uint32_t LoopOperands::once(std::uint32_t slot, std::int64_t bytes, RowKernel kernel) {
  return made(loop_.prologue, slot, bytes, kernel);
}

bool LoopOperands::row_by_row(std::uint32_t n) const {
  const Form& form = s_.forms[n];
  if (form.kind != Kind::elementwise || step_.on_column(form) || loop_.flat() || loop_.tile_rows == 1 ||
      loop_.tile_columns < shortest_row)
    return false;
  return std::any_of(form.moves, form.moves + g_[n].input_count, [](Moves m) { return m == Moves::column; });
}

void LoopOperands::set_moves(LoopOp& o) {
  if (!by_row_) return;
  o.extent = Extent::row;
  o.moves = &plan_.row_moves.emplace_back(std::move(moves_));
  moves_.clear();
  by_row_ = false;
}

void LoopOperands::moves_by(std::uint32_t slot, std::int64_t bytes) {
  if (by_row_) add_move(moves_, slot, bytes);
}

LoopOperands::Operand LoopOperands::of_row(std::uint32_t slot, std::int64_t bytes) {
  if (loop_.tile_rows == 1) return {slot, true};
  if (!by_row_) return {expanded(slot, bytes), false};
  moves_by(slot, bytes);
  return {slot, true};
}

LoopOperands::Operand LoopOperands::operand(ValueId v, Moves moves, bool elementwise, bool column_op) {
  const Operand x = placed(v, moves, elementwise, column_op);
  if (!x.repeated) moves_by(x.slot, loop_.columns * item(v));
  return x;
}

LoopOperands::Operand LoopOperands::placed(ValueId v, Moves moves, bool elementwise, bool column_op) {
  const ValueId r = r_.root(v);
  const std::int64_t bytes = item(v);
  if (column_op && moves == Moves::full) moves = Moves::column;
  if (r_.inside(r)) {
    const std::uint32_t slot = notes_.slot[r];
    if (moves == Moves::scalar) return {slot, !spread_};
    if (moves != Moves::column || !elementwise || column_op) return {slot, false};
    return of_row(slot, bytes);
  }
  const Place place = r_.place(v);
  switch (moves) {
    case Moves::scalar: {
      const std::uint32_t slot = stream(place, moves, bytes);
      if (!elementwise || !spread_) return {slot, elementwise};
      return {once(slot, bytes, tiles::spread), false};
    }
    case Moves::full:
      return {stream(place, moves, bytes), false};
    case Moves::column: {
      const std::uint32_t slot = stream(place, moves, bytes);
      if (!elementwise || column_op) return {slot, false};
      return of_row(slot, bytes);
    }
    case Moves::row:
      break;
  }
  const std::uint32_t slot = stream(place, moves, bytes);
  if (loop_.tile_rows == 1) return {slot, false};
  return {once(slot, bytes, tiles::expand_row), false};
}

std::uint32_t LoopOperands::result(ValueId out, bool wide, bool by_rows) {
  const auto later = becomes_.find(out);
  const std::uint32_t slot = later != becomes_.end() ? written(later->second, Moves::full, true)
                             : r_.leaves[out]
                                 ? written(out, wide ? Moves::full : Moves::column, by_rows || by_row_)
                                 : temporary(wide);
  moves_by(slot, loop_.columns * item(out));
  notes_.slot[out] = slot;
  if (!r_.leaves[out] && later == becomes_.end()) notes_.frame[out] = wide ? 2 : 1;
  return slot;
}

void LoopOperands::give_back(ValueId v) {
  const std::uint8_t frame = std::exchange(notes_.frame[v], std::uint8_t{0});
  if (frame == 0) return;
  (frame == 2 ? spare_wide_ : spare_narrow_).push_back(notes_.slot[v]);
  if (!expanded_.empty()) expanded_.erase(notes_.slot[v]);
}

void LoopOperands::free_dead(std::uint32_t n, std::uint32_t position) {
  for (const ValueId v : g_.inputs(g_[n]))
    if (r_.inside(r_.root(v)) && notes_.last[r_.root(v)] == position) give_back(r_.root(v));
}

void LoopOperands::place_temporaries() {
  std::size_t at = 0;
  for (const auto& [slot, wide] : temporaries_) {
    const std::int64_t elements = wide ? loop_.tile_rows * loop_.tile_columns : loop_.tile_rows;
    loop_.temporaries.push_back({slot, at});
    // A row may be read to the end of a register behind it; a single element begins on a line and ends
    // there.
    const std::int64_t spare = elements > 1 ? line : 0;
    at += static_cast<std::size_t>((elements * needs_.item + line - 1) / line * line + spare);
  }
  loop_.frame_bytes = at;
}

void LoopOperands::guard_chunks() {
  if (loop_.chunks == 1) loop_.written.clear();
  const std::int64_t narrowest = loop_.columns - (loop_.column_tiles - 1) * loop_.tile_columns;
  for (Written& w : loop_.written) {
    const std::int64_t shortest = (w.full ? loop_.tile_rows * narrowest : loop_.tile_rows) * w.item;
    const std::int64_t tiles = (1 + (line - 1) / shortest) * (w.full ? 1 : loop_.column_tiles);
    loop_.guarded_tiles = std::min(std::max(loop_.guarded_tiles, tiles), loop_.chunk_tiles);
    w.spare = loop_.frame_bytes;
    loop_.frame_bytes +=
        static_cast<std::size_t>((tile_bytes(w.full, w.item) + line - 1) / line * line + line);
  }
  loop_.parallel =
      loop_.chunks > 1 && (loop_.product ? needs_.large_product : total() >= parallel_elements(step_));
}

}  // namespace wengert::program
