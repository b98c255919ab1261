#include "autodiff/program/loop_product.hpp"

#include <set>
#include <utility>

#include "autodiff/kernels/workers.hpp"
#include "autodiff/program/count.hpp"

namespace wengert::program {

void look_at_product(const LoopRequest& request, Loop& loop, TileNeeds& needs) {
  const Graph& g = request.graph;
  const Instruction& i = g[request.step.product];
  loop.rows = g.shape(i.output)[0];
  loop.columns = g.shape(i.output)[1];
  needs.product_rows = i.op->row.rows_at_once(g.describe(i));
  needs.large_product = flops(g, i) >= kernels::cut_flops;
}

std::uint32_t add_product(const LoopRequest& request, Loop& loop, Plan& plan) {
  const Graph& g = request.graph;
  const Instruction& i = g[request.step.product];
  const Call call = g.describe(i);
  SomeRows& rows = plan.products.emplace_back();
  i.op->row.direct(call, rows.sizes);
  const auto item = static_cast<std::int64_t>(item_size(g.dtype(i.output)));
  LoopProduct& product = loop.product;
  product.op.kernel = i.op->row.some_rows[static_cast<int>(g.dtype(i.output))];
  product.op.attributes = &rows;
  product.op.in[0] = loop.slots++;
  product.op.in[1] = loop.slots++;
  product.op.out = loop.slots++;
  product.rows = i.op->row.rows_at_once(call);
  product.row_bytes = loop.columns * item;
  loop.streams.push_back({product.op.in[0], request.place(g.inputs(i)[0]), rows.row_step() * item, 0});
  loop.fixed.push_back({product.op.in[1], request.place(g.inputs(i)[1]), 0, 0});
  return product.op.out;
}

void fetch_beside_product(Loop& loop, Plan& plan) {
  LoopProduct& product = loop.product;
  SomeRows& rows = plan.products.back();
  std::set<std::pair<std::uint32_t, std::int64_t>> known;
  for (const Stream& s : loop.streams) {
    const bool alike = s.column_bytes * loop.columns == product.row_bytes && s.row_bytes == product.row_bytes;
    if (!alike || rows.fetches == SomeRows::most_fetched) continue;
    // A state that changes where it lies is there twice.
    const Buffer& b = plan.buffers[s.place.buffer];
    const bool state = b.home == Home::state || b.home == Home::new_state;
    const std::uint32_t buffer =
        state ? static_cast<std::uint32_t>(plan.buffers.size()) + b.index : s.place.buffer;
    if (known.emplace(buffer, s.place.offset).second) rows.fetched[rows.fetches++] = s.slot;
  }
  product.frame = loop.frame_bytes;
  constexpr auto spare = static_cast<std::int64_t>(detail::buffer_alignment);
  loop.frame_bytes += static_cast<std::size_t>(product.rows * product.row_bytes + spare);
}

}  // namespace wengert::program
