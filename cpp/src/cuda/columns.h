// Sums down the columns of a matrix, and what is then done to each of its elements. Private to cpp/src/cuda.
//
// A block takes some columns side by side, so that its threads read next to one another, and a run of rows. Where one
// block has all rows of its columns, it goes on to their elements; else the last block to end adds up the parts, run by
// run, and a second kernel visits the elements. How a matrix is cut, and so every sum, follows from its shape.
//
// A body is a struct with
//   Sum, Before, Row, Item, Column    types of plain numbers; by_row: whether Row is used; maps(): whether it visits
//   Before before(j)                  what the elements of a column have in common, before its sum is known
//   Row row(i)                        what the elements of a row have in common
//   Item load(i, j)
//   void add(Sum&, const Item*, int count, Before, const Row*, int apart)    row k of the items is at [k * apart]
//   static Sum join(Sum, Sum)         Sum{} is the sum of nothing
//   void finish(j, Sum)               called once for every column
//   Column column(j, Sum)             what is done to its elements
//   void put(i, j, Column, Item)
#pragma once

#include "cuda/lane.h"
#include "cuda/launch.h"

namespace gradwell {
namespace cuda {

struct Nothing {};

constexpr int column_threads = 256, rows_at_once = 8, visits_at_once = 4;

struct ColumnTiling {
  Index rows, columns;
  int shift;  // 1 << shift columns side by side
  Index across, runs, run_rows;
};

inline ColumnTiling tiles_across(Index rows, Index columns) {
  int shift = 2;
  while (shift < 5 && (Index{1} << shift) < columns) ++shift;
  return {rows, columns, shift, ceiling(columns, Index{1} << shift), 1, rows};
}
inline ColumnTiling cut_rows(ColumnTiling t, Index runs, Index multiple) {
  t.run_rows = ceiling(ceiling(t.rows, runs), multiple) * multiple;
  t.runs = t.rows > 0 ? ceiling(t.rows, t.run_rows) : 1;
  return t;
}
// For sums. Where there are enough columns for all processors, their sums are not cut.
inline ColumnTiling tiling_of_sums(Index rows, Index columns) {
  constexpr Index many_blocks = 1024;
  const ColumnTiling t = tiles_across(rows, columns);
  const Index at_once = (column_threads >> t.shift) * rows_at_once;
  if (rows <= 4 * at_once || t.across >= Queue::part_counters) return cut_rows(t, 1, at_once);
  const Index runs = ceiling(rows, 2 * at_once), most = many_blocks / t.across;
  return cut_rows(t, runs < most ? runs : most, at_once);
}
// For elements.
inline ColumnTiling tiling_of_visits(Index rows, Index columns) {
  constexpr Index many_blocks = 4096;
  const ColumnTiling t = tiles_across(rows, columns);
  const Index at_once = (column_threads >> t.shift) * rows_at_once;
  const Index runs = ceiling(rows, at_once), most = many_blocks / t.across + 1;
  return cut_rows(t, runs < most ? runs : most, at_once);
}

// This thread's place in the tile of its block.
struct ColumnPlace {
  Index column, first, last;  // rows first ... last are the block's
  Index run;
  int lane, slot, slots;
  __device__ explicit ColumnPlace(const ColumnTiling& t) {
    const Index tile = blockIdx.x % t.across;
    run = blockIdx.x / t.across;
    lane = static_cast<int>(threadIdx.x) & ((1 << t.shift) - 1);
    slot = static_cast<int>(threadIdx.x) >> t.shift;
    slots = column_threads >> t.shift;
    column = (tile << t.shift) + lane;
    first = run * t.run_rows;
    last = first + t.run_rows < t.rows ? first + t.run_rows : t.rows;
  }
  __device__ Index row(Index base, int k) const { return base + k * slots + slot; }
  // Of the rows that a thread takes at once.
  __device__ int left(Index base, int at_once) const {
    const Index rest = last - base - slot;
    if (rest <= 0) return 0;
    return rest > (at_once - 1) * slots ? at_once : (static_cast<int>(rest) - 1) / slots + 1;
  }
};

template <class Body, class Column>
__device__ void visit_rows(const Body& body, const ColumnPlace& place, Column column) {
  for (Index base = place.first; base < place.last; base += visits_at_once * place.slots) {
    const int count = place.left(base, visits_at_once);
    typename Body::Item items[visits_at_once];
    GRADWELL_UNROLL
    for (int k = 0; k < visits_at_once; ++k)
      if (k < count) items[k] = body.load(place.row(base, k), place.column);
    GRADWELL_UNROLL
    for (int k = 0; k < visits_at_once; ++k)
      if (k < count) body.put(place.row(base, k), place.column, column, items[k]);
  }
}

// The sums of a column's slots joined, in the first of them; every thread has come to the end when it returns.
template <class Body>
__device__ typename Body::Sum join_slots(typename Body::Sum sum, const ColumnPlace& place, typename Body::Sum* sums) {
  const int at = static_cast<int>(threadIdx.x), wide = column_threads / place.slots;
  sums[at] = sum;
  for (int half = place.slots / 2; half > 0; half /= 2) {
    __syncthreads();
    if (place.slot < half) sums[at] = Body::join(sums[at], sums[at + half * wide]);
  }
  __syncthreads();
  sum = sums[place.lane];
  __syncthreads();
  return sum;
}

// Whether all other of `blocks` blocks have been here; what they wrote before is then seen.
__device__ inline bool is_last_block(unsigned* counter, Index blocks) {
  __shared__ unsigned before;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    before = atomicAdd(counter, 1u);
    if (before + 1 == blocks) *counter = 0;
  }
  __syncthreads();
  const bool last = before + 1 == blocks;
  if (last) __threadfence();
  return last;
}

template <class Body>
__global__ void __launch_bounds__(column_threads, 3) sum_down(ColumnTiling tiling, Body body, typename Body::Sum* parts,
                                                              typename Body::Sum* totals, unsigned* counters) {
  using Sum = typename Body::Sum;
  constexpr int most_rows = Body::by_row ? (column_threads / 4) * rows_at_once : 1;
  __shared__ Sum sums[column_threads];
  __shared__ typename Body::Row of_rows[most_rows];
  const ColumnPlace place(tiling);
  const Index j = place.column;
  const bool inside = j < tiling.columns;
  Sum sum = {};
  typename Body::Before before = {};
  if (inside) before = body.before(j);
  for (Index base = place.first; base < place.last; base += rows_at_once * place.slots) {
    if (Body::by_row) {
      __syncthreads();
      for (int k = static_cast<int>(threadIdx.x); k < rows_at_once * place.slots && base + k < place.last;
           k += column_threads)
        of_rows[k] = body.row(base + k);
      __syncthreads();
    }
    if (!inside) continue;
    const int count = place.left(base, rows_at_once);
    typename Body::Item items[rows_at_once];
    GRADWELL_UNROLL
    for (int k = 0; k < rows_at_once; ++k)
      if (k < count) items[k] = body.load(place.row(base, k), j);
    body.add(sum, items, count, before, of_rows + (Body::by_row ? place.slot : 0), place.slots);
  }
  sum = join_slots<Body>(sum, place, sums);
  const bool first = inside && place.slot == 0;
  if (tiling.runs > 1) {
    if (first) parts[place.run * tiling.columns + j] = sum;
    if (!is_last_block(counters + (j >> tiling.shift), tiling.runs)) return;
    sum = {};
    for (Index run = place.slot; inside && run < tiling.runs; run += place.slots)
      sum = Body::join(sum, parts[run * tiling.columns + j]);
    sum = join_slots<Body>(sum, place, sums);
    if (first) totals[j] = sum;
  }
  if (first) body.finish(j, sum);
  if (tiling.runs > 1 || !inside || !body.maps()) return;
  visit_rows(body, place, body.column(j, sum));
}

template <class Body>
__global__ void __launch_bounds__(column_threads, 3)
    visit_columns(ColumnTiling tiling, Body body, const typename Body::Sum* totals) {
  const ColumnPlace place(tiling);
  if (place.column >= tiling.columns) return;
  visit_rows(body, place, body.column(place.column, totals ? totals[place.column] : typename Body::Sum{}));
}

// Visits the elements of (rows, columns) by what is known of their columns.
template <class Body>
void for_each_in_columns(const char* name, Queue& queue, Index rows, Index columns, Body body,
                         const typename Body::Sum* totals = nullptr) {
  if (rows <= 0 || columns <= 0) return;
  const ColumnTiling tiling = tiling_of_visits(rows, columns);
  launch(name, queue, {tiling.across * tiling.runs, column_threads}, visit_columns<Body>, tiling, body, totals);
}

// Adds up the columns of (rows, columns), which have a sum where there are no rows too, and visits the elements.
template <class Body>
void over_columns(const char* name, Queue& queue, Index rows, Index columns, Body body) {
  using Sum = typename Body::Sum;
  static_assert(sizeof(Sum) % sizeof(double) == 0 && sizeof(Sum) <= 3 * sizeof(double), "Queue::part_numbers");
  if (columns <= 0) return;
  const ColumnTiling tiling = tiling_of_sums(rows, columns);
  Sum* const parts = reinterpret_cast<Sum*>(queue.parts());
  Sum* const totals = parts + (tiling.runs > 1 ? tiling.runs * columns : 0);
  launch(name, queue, {tiling.across * tiling.runs, column_threads}, sum_down<Body>, tiling, body, parts, totals,
         queue.counters());
  if (tiling.runs > 1 && body.maps()) for_each_in_columns(name, queue, rows, columns, body, totals);
}

}  // namespace cuda
}  // namespace gradwell
