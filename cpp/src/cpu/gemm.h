// Matrix products C = start + A B for the three shapes of a dense layer. Private to cpp/src/cpu.
//
// A register tile holds `rows` x (1 or 2 vectors) of C and runs over the depth once: element (i, j) is
// start + a_i0 b_0j, + a_i1 b_1j, ... by fused multiply-adds in that order, whatever the tile, the packing or
// the thread, so a product has the same bits however it is cut. A is read where it lies, one scalar at a time,
// by any strides, which serves x W and x^T delta alike. B is read where it lies when it is used few times; otherwise,
// and always when transposed, a block of it is packed into a buffer on the stack (pack.h).
#pragma once

#include "cpu/pack.h"
#include "cpu/parallel.h"
#include "elementwise/sgd_rule.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

// As many rows as leave registers for B: 2 x 14 + 2 of 32, or 2 x 6 + 2 + 1 of 16.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int tile_rows = 14;
#else
constexpr int tile_rows = 6;
#endif

// A right factor of up to so many numbers is in the second-level cache, from where it is as fast as packed.
constexpr Index read_in_place = 300000;

constexpr Index most_panels = 8;  // of a task
// One of fewer stays in that cache from one use to the next.
constexpr Index worth_fetching = 60000;

// Element (i, p) is data[i * row + p * step].
template <class T>
struct Left {
  const T* data;
  Index row;
  Index step;
};

// What becomes of a product: it is stored; or, the gradient of the weights at C, it makes a step of them by `rule`
// and is itself stored nowhere.
enum class Product { store, update };

// The tile's sums go on from `from` (row stride from_row) where it is not null, else start from start[j], or 0.
template <class T>
struct TileJob {
  Index depth;
  Left<T> a;
  const T* b;
  Index b_step;
  T* c;
  Index c_row;
  const T* start;
  const T* from;
  Index from_row;
  int last;  // columns in the last vector
  SgdRule<T> rule;
};

template <class T, int Rows, int Packs, bool Part, Product What>
void tile(const TileJob<T>& job) {
  constexpr int width = lanes<T>;
  const auto read = [&](const T* p, int v) {
    return Part && v == Packs - 1 ? load_part(p + v * width, job.last) : load(p + v * width);
  };
  Pack<T> sum[Rows][Packs];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < Packs; ++v)
      sum[i][v] = job.from ? read(job.from + i * job.from_row, v) : (job.start ? read(job.start, v) : Pack<T>{});
  if (What == Product::update && job.depth >= 32) {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
      for (int v = 0; v < Packs; ++v) __builtin_prefetch(job.c + i * job.c_row + v * width, 1);
  }
  const T* a = job.a.data;
  const T* b = job.b;
  const Index a_row = job.a.row;
  for (Index p = 0; p < job.depth; ++p, a += job.a.step, b += job.b_step) {
    Pack<T> right[Packs];
#pragma GCC unroll 2
    for (int v = 0; v < Packs; ++v) right[v] = read(b, v);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const Pack<T> left = broadcast(a[i * a_row]);
#pragma GCC unroll 2
      for (int v = 0; v < Packs; ++v) sum[i][v] = fma(left, right[v], sum[i][v]);
    }
  }
  // All is read before anything is written: a masked store would hold up a load of the row that follows it.
  if (What == Product::update) {
    if (job.rule.keep == T(1)) {  // the common case, in one operation where it would be two; the same bits
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
        for (int v = 0; v < Packs; ++v)
          sum[i][v] = fma(broadcast(job.rule.rate), sum[i][v], read(job.c + i * job.c_row, v));
    } else {
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
        for (int v = 0; v < Packs; ++v) sum[i][v] = job.rule(read(job.c + i * job.c_row, v), sum[i][v]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < Packs; ++v) {
      T* to = job.c + i * job.c_row + v * width;
      Part&& v == Packs - 1 ? store_part(to, sum[i][v], job.last) : store(to, sum[i][v]);
    }
}

template <class T, int Rows, Product What>
void tile_of_rows(const TileJob<T>& job, int columns) {
  constexpr int width = lanes<T>;
  if (columns == 2 * width) return tile<T, Rows, 2, false, What>(job);
  if (columns == width) return tile<T, Rows, 1, false, What>(job);
  if (columns > width) return tile<T, Rows, 2, true, What>(job);
  tile<T, Rows, 1, true, What>(job);
}

template <class T, Product What, int Rows = tile_rows>
GRADWELL_INLINE void any_tile(const TileJob<T>& job, int rows, int columns) {
  if (rows == Rows) return tile_of_rows<T, Rows, What>(job, columns);
  if constexpr (Rows > 1) any_tile<T, What, Rows - 1>(job, rows, columns);
}

// A product's C, and the rule where it is a step of it.
template <class T>
struct Target {
  T* c;
  Index c_row;
  SgdRule<T> rule;
};

// C (rows, columns), depth the summed dimension. `finish(row, rows, column, columns)` is called once for each
// tile of C when it is complete, on the thread that made it.
template <class T, Product What, class Finish>
GRADWELL_INLINE void gemm(Context context, Index rows, Index columns, Index depth, Left<T> a, Right<T> b,
                          const T* start, Target<T> to, Finish&& finish) {
  constexpr int width = tile_columns<T>;
  constexpr Index most_tiles = 16;  // of a group whose sums wait on the stack between two blocks of the depth
  constexpr Index room = What == Product::update ? most_tiles * tile_rows * width : 1;
  const Index panels = (columns + width - 1) / width;
  const Index work = rows * columns * depth;
  // Rows are cut into tiles of nearly equal height, and those into as many groups as keep the threads busy.
  const Index tiles = (rows + tile_rows - 1) / tile_rows;
  const bool packing = b.transposed || (depth * b.stride > read_in_place && tiles >= 3);
  const Index block = packing ? packed_depth : (depth > 0 ? depth : 1);
  const bool waiting = What == Product::update && depth > block;
  // A task is some panels: block by block of the depth, so that a block of A serves them all from the second-level
  // cache.
  const Index span = depth > block && !waiting ? (panels < 4 * most_panels ? 1 + panels / 8 : most_panels) : 1;
  const Index chunks = (panels + span - 1) / span;
  Index groups = 1;
  if (context.threads > 1 && chunks > 0) {
    groups = (4 * context.threads + chunks - 1) / chunks;
    if (groups > tiles) groups = tiles;
  }
  if (waiting && groups * most_tiles < tiles) groups = (tiles + most_tiles - 1) / most_tiles;
  const bool fetching = depth * b.stride > worth_fetching;
  parallel_for(context, chunks * groups, work, [&](Index task) {
    const Index group = task % groups, first = tiles * group / groups, last = tiles * (group + 1) / groups;
    const Index from = task / groups * span, end = from + span < panels ? from + span : panels;
    alignas(64) T packed[packed_depth * width];
    alignas(64) T sums[room];
    for (Index p0 = 0; p0 == 0 || p0 < depth; p0 += block) {
      const Index deep = depth - p0 < block ? depth - p0 : block;
      const bool complete = p0 + deep >= depth;
      for (Index panel = from; panel < end; ++panel) {
        const Index j0 = panel * width;
        const int wide = static_cast<int>(columns - j0 < width ? columns - j0 : width);
        if (packing) pack(b, p0, deep, j0, wide, packed);
        const T* right = packing ? packed : b.data + p0 * b.stride + j0;
        // What comes next of B is fetched into the second-level cache meanwhile, a share of it before every tile.
        Fetch<T> fetch = {nullptr, 0, 0, 0};
        if (fetching) {
          const bool turn = panel + 1 == end && !complete;
          fetch = fetch_next(b, turn ? p0 + block : p0, turn ? from * width : j0 + width, depth, columns, block);
        }
        for (Index t = first; t < last; ++t) {
          if (fetching) fetch_part(fetch, t - first, last - first);
          const Index i0 = rows * t / tiles;
          const int high = static_cast<int>(rows * (t + 1) / tiles - i0);
          T* const c = to.c + i0 * to.c_row + j0;
          T* const sum = waiting ? sums + (i0 - rows * first / tiles) * width : c;
          const Index sum_row = waiting ? width : to.c_row;
          TileJob<T> job = {deep,
                            {a.data + i0 * a.row + p0 * a.step, a.row, a.step},
                            right,
                            packing ? width : b.stride,
                            sum,
                            sum_row,
                            start ? start + j0 : nullptr,
                            p0 > 0 ? sum : nullptr,
                            sum_row,
                            (wide - 1) % lanes<T> + 1,
                            to.rule};
          if (What == Product::update && complete) {
            job.c = c;
            job.c_row = to.c_row;
            any_tile<T, What>(job, high, wide);
          } else {
            any_tile<T, Product::store>(job, high, wide);
          }
          if (complete) finish(i0, high, j0, wide);
        }
      }
    }
  });
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell
