// Matrix products C = start + A B for the three shapes of a dense layer. Private to cpp/src/cpu.
//
// A register tile holds `rows` x (1 or 2 vectors) of C and runs over the depth once: element (i, j) is
// start + a_i0 b_0j, + a_i1 b_1j, ... by fused multiply-adds in that order, whatever the tile, the packing or
// the thread, so a product has the same bits however it is cut. A is read where it lies, one scalar at a time,
// by any strides, which serves x W and x^T delta alike. B is read where it lies when it is small; otherwise,
// and always when transposed, a block of it is packed into a buffer on the stack.
#pragma once

#include "cpu/parallel.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

// As many rows as leave registers for B: 2 x 14 + 2 of 32, or 2 x 6 + 2 + 1 of 16.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int tile_rows = 14;
#else
constexpr int tile_rows = 6;
#endif
template <class T>
constexpr int tile_columns = 2 * lanes<T>;
constexpr int packed_depth = 192;

// Element (i, p) is data[i * row + p * step].
template <class T>
struct Left {
  const T* data;
  Index row;
  Index step;
};

// Element (p, j) is data[p * stride + j], or data[j * stride + p] where transposed.
template <class T>
struct Right {
  const T* data;
  Index stride;
  bool transposed;
};

// The tile starts from C itself where `add`, else from start[j], or 0 where start is null.
template <class T>
struct TileJob {
  Index depth;
  Left<T> a;
  const T* b;
  Index b_step;
  T* c;
  Index c_row;
  const T* start;
  bool add;
  int last;  // columns in the last vector
};

template <class T, int Rows, int Packs, bool Part>
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
      sum[i][v] = job.add ? read(job.c + i * job.c_row, v) : (job.start ? read(job.start, v) : Pack<T>{});
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
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < Packs; ++v) {
      T* to = job.c + i * job.c_row + v * width;
      Part&& v == Packs - 1 ? store_part(to, sum[i][v], job.last) : store(to, sum[i][v]);
    }
}

template <class T, int Rows>
void tile_of_rows(const TileJob<T>& job, int columns) {
  constexpr int width = lanes<T>;
  if (columns == 2 * width) return tile<T, Rows, 2, false>(job);
  if (columns == width) return tile<T, Rows, 1, false>(job);
  if (columns > width) return tile<T, Rows, 2, true>(job);
  tile<T, Rows, 1, true>(job);
}

template <class T, int Rows = tile_rows>
GRADWELL_INLINE void any_tile(const TileJob<T>& job, int rows, int columns) {
  if (rows == Rows) return tile_of_rows<T, Rows>(job, columns);
  if constexpr (Rows > 1) any_tile<T, Rows - 1>(job, rows, columns);
}

template <class T>
GRADWELL_INLINE void pack(Right<T> b, Index p0, Index depth, Index j0, int columns, T* to) {
  constexpr int width = tile_columns<T>;
  if (b.transposed) {
    for (int j = 0; j < columns; ++j)
      for (Index p = 0; p < depth; ++p) to[p * width + j] = b.data[(j0 + j) * b.stride + p0 + p];
  } else {
    for (Index p = 0; p < depth; ++p)
      for (int j = 0; j < columns; ++j) to[p * width + j] = b.data[(p0 + p) * b.stride + j0 + j];
  }
}

// C (rows, columns), depth the summed dimension. `finish(row, rows, column, columns)` is called once for each
// tile of C when it is complete, on the thread that made it.
template <class T, class Finish>
GRADWELL_INLINE void gemm(Context context, Index rows, Index columns, Index depth, Left<T> a, Right<T> b,
                          const T* start, T* c, Index c_row, Finish&& finish) {
  constexpr int width = tile_columns<T>;
  const Index panels = (columns + width - 1) / width;
  const Index work = rows * columns * depth;
  // Rows are cut into tiles of nearly equal height, and those into as many groups as keep the threads busy.
  const Index tiles = (rows + tile_rows - 1) / tile_rows;
  Index groups = 1;
  if (context.threads > 1 && work >= worth_sharing) {
    groups = (4 * context.threads + panels - 1) / panels;
    if (groups > tiles) groups = tiles;
  }
  const bool packing = b.transposed || (columns > width && tiles >= 3 * groups);
  const Index block = packing ? packed_depth : (depth > 0 ? depth : 1);
  parallel_for(context, panels * groups, work, [&](Index task) {
    const Index panel = task / groups, group = task % groups;
    const Index j0 = panel * width;
    const int wide = static_cast<int>(columns - j0 < width ? columns - j0 : width);
    alignas(64) T packed[packed_depth * width];
    for (Index p0 = 0; p0 == 0 || p0 < depth; p0 += block) {
      const Index deep = depth - p0 < block ? depth - p0 : block;
      if (packing) pack(b, p0, deep, j0, wide, packed);
      const T* right = packing ? packed : b.data + p0 * b.stride + j0;
      for (Index t = tiles * group / groups; t < tiles * (group + 1) / groups; ++t) {
        const Index i0 = rows * t / tiles;
        const int high = static_cast<int>(rows * (t + 1) / tiles - i0);
        const TileJob<T> job = {deep,
                                {a.data + i0 * a.row + p0 * a.step, a.row, a.step},
                                right,
                                packing ? width : b.stride,
                                c + i0 * c_row + j0,
                                c_row,
                                start ? start + j0 : nullptr,
                                p0 > 0,
                                (wide - 1) % lanes<T> + 1};
        any_tile<T>(job, high, wide);
        if (p0 + deep >= depth) finish(i0, high, j0, wide);
      }
    }
  });
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell
