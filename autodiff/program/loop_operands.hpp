#pragma once

#include <map>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "autodiff/program/loop_tiles.hpp"

namespace wengert::program {

/// What the operations of a loop work on, while it is made: slots on memory that moves with the tile, tiles
/// in the thread's frame, and operands in another form (a row for every row of the tile, a number in every
/// lane).
class LoopOperands {
 public:
  LoopOperands(const LoopRequest& request, Plan& plan)
      : r_(request),
        g_(request.graph),
        s_(request.schedule),
        step_(request.step),
        notes_(request.notes),
        plan_(plan) {}

 protected:
  std::int64_t total() const { return step_.rows * step_.columns; }
  std::int64_t item(ValueId v) const { return static_cast<std::int64_t>(item_size(g_.dtype(v))); }
  const void* number_pointer(std::int64_t number);
  std::uint32_t new_slot() { return loop_.slots++; }

  /// A slot on memory that moves with the tile.
  std::uint32_t stream(const Place& place, Moves moves, std::int64_t bytes);
  /// A slot on memory that is written, `by_rows`: by a kernel that writes row by row.
  std::uint32_t written(ValueId v, Moves moves, bool by_rows);
  std::int64_t tile_bytes(bool full, std::int64_t item_bytes) const;
  /// A slot in the frame; `wide` ones hold a tile, the others one element a row.
  std::uint32_t temporary(bool wide);
  /// Another form of an operand, made by `kernel`: in the prologue once for all tiles, in the body for each.
  std::uint32_t made(std::vector<LoopOp>& where, std::uint32_t slot, std::int64_t bytes, RowKernel kernel);
  std::uint32_t expanded(std::uint32_t slot, std::int64_t bytes);
  std::uint32_t once(std::uint32_t slot, std::int64_t bytes, RowKernel kernel);

  struct Operand {
    std::uint32_t slot;
    bool repeated;
  };
  /// Whether the operation runs row by row: one number a row is then the same for all of its elements, and
  /// needs no copy as large as the tile.
  bool row_by_row(std::uint32_t n) const;
  /// Runs the operation row by row if `o` was made so.
  void set_moves(LoopOp& o);
  void moves_by(std::uint32_t slot, std::int64_t bytes);
  Operand of_row(std::uint32_t slot, std::int64_t bytes);
  Operand operand(ValueId v, Moves moves, bool elementwise, bool column_op);
  Operand placed(ValueId v, Moves moves, bool elementwise, bool column_op);
  /// The slot that a result is written to, `by_rows` as in written().
  std::uint32_t result(ValueId out, bool wide, bool by_rows);
  void give_back(ValueId v);
  /// The tiles of operands that nobody reads any more.
  void free_dead(std::uint32_t n, std::uint32_t position);
  /// When all operations are there: where the tiles lie in the frame.
  void place_temporaries();
  /// Room for the tiles at the end of a chunk, and how many they are: all that end less than a line before
  /// it.
  void guard_chunks();

  const LoopRequest& r_;
  const Graph& g_;
  const Schedule& s_;
  const Step& step_;
  LoopNotes& notes_;
  Plan& plan_;
  Loop loop_;
  bool by_row_ = false;         // the operation at hand runs row by row
  std::vector<RowMove> moves_;  // its operands
  std::set<std::uint32_t> written_slots_;
  TileNeeds needs_;
  bool spread_ = false;  // a long chain on one element: numbers fill a register once, not in every operation
  std::map<std::tuple<std::uint32_t, std::int64_t, Moves>, std::uint32_t> streams_;  // by place
  std::vector<bool> moving_;  // by slot: a full array in memory
  std::unordered_map<std::uint32_t, std::uint32_t> expanded_;
  std::unordered_map<ValueId, ValueId> becomes_;  // what a row operator changes in place: its result
  std::vector<std::uint32_t> spare_wide_, spare_narrow_;
  std::vector<std::pair<std::uint32_t, bool>> temporaries_;
};

}  // namespace wengert::program
