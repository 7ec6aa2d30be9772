// Products that are deep and narrow: the gradients of weights over all steps and sequences. Private to cpp/src/cpu.
//
//   dw = x^T delta,  du = h^T delta,  db = sum of delta
//
// delta, the largest by far, is read once: a block of rows by a strip of columns is packed into panels that stay in the
// second-level cache, its column sums are taken on the way, and every tile of rows of dw and du passes over it. The
// next block is fetched meanwhile. Sums wait in dw and du between blocks. Threads take strips of columns.
#pragma once

#include "cpu/columns.h"
#include "cpu/gemm.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

constexpr Index time_block = 128;   // rows of delta
constexpr Index strip_panels = 16;  // at most, in a strip
constexpr Index left_step = 16;     // numbers from one row of a packed left tile to the next

template <class T>
struct TimeStrip {
  Matrix<const T> x, delta;
  Matrix<T> d;
  Index from, wide;  // columns of delta
};

// Tiles of d over one packed block of delta, of rows p0 ... p0 + deep - 1. `before` is called in front of every tile.
template <class T, class Body>
GRADWELL_INLINE void tiles_over_time(const TimeStrip<T>& strip, Index p0, Index deep, const T* packed, Body&& before) {
  constexpr int width = tile_columns<T>;
  alignas(64) T left[time_block * left_step];
  const Index tiles = (strip.d.rows + tile_rows - 1) / tile_rows;
  for (Index t = 0; t < tiles; ++t) {
    const Index i0 = strip.d.rows * t / tiles;
    const int high = static_cast<int>(strip.d.rows * (t + 1) / tiles - i0);
    for (Index p = 0; p < deep; ++p) {
      const T* const from = strip.x.data + (p0 + p) * strip.x.stride + i0;
      for_each_pack<T>(high, [&](Index i, int n) { store(left + p * left_step + i, load_n<T>(from + i, n)); });
    }
    before();
    for (Index j = 0; j < strip.wide; j += width) {
      const int wide = static_cast<int>(strip.wide - j < width ? strip.wide - j : width);
      T* const c = strip.d.data + i0 * strip.d.stride + strip.from + j;
      const TileJob<T> job = {deep,
                              {left, 1, left_step},
                              packed + j * deep,
                              width,
                              c,
                              strip.d.stride,
                              nullptr,
                              p0 > 0 ? c : nullptr,
                              strip.d.stride,
                              (wide - 1) % lanes<T> + 1,
                              {}};
      any_tile<T, Product::store>(job, high, wide);
    }
  }
}

template <class T>
void over_time(Context context, Matrix<const T> x, Matrix<const T> h, Matrix<const T> delta, Matrix<T> dw, Matrix<T> du,
               T* db) {
  constexpr int width = tile_columns<T>;
  const Index panels = (delta.columns + width - 1) / width, rows = delta.rows;
  Index strips = (panels + strip_panels - 1) / strip_panels;
  if (context.threads > 1 && strips % context.threads) strips += context.threads - strips % context.threads;
  if (strips > panels) strips = panels;
  const Index work = rows * delta.columns * (dw.rows + du.rows);
  parallel_for(context, strips, work, [&](Index s) {
    const Index from = panels * s / strips * width;
    const Index end = s + 1 < strips ? panels * (s + 1) / strips * width : delta.columns;
    alignas(64) T packed[time_block * strip_panels * width];
    alignas(64) double sums[strip_panels * width];
    const TimeStrip<T> of_x = {x, delta, dw, from, end - from}, of_h = {h, delta, du, from, end - from};
    for (double& sum : sums) sum = 0;
    if (rows == 0)
      for (const Matrix<T>& d : {dw, du})
        for (Index i = 0; i < d.rows; ++i)
          for (Index j = from; j < end; ++j) d.data[i * d.stride + j] = 0;
    for (Index p0 = 0; p0 < rows; p0 += time_block) {
      const Index deep = rows - p0 < time_block ? rows - p0 : time_block;
      const Right<T> right = {delta.data + from, delta.stride, false};
      for (Index j = 0; j < end - from; j += width) {
        const int wide = static_cast<int>(end - from - j < width ? end - from - j : width);
        pack(right, p0, deep, j, wide, packed + j * deep);
        if (db) {
          alignas(64) double part[width];
          column_sums<T, 2>(deep, part,
                            [&](Index p, int v) { return load(packed + j * deep + p * width + v * lanes<T>); });
          for (int k = 0; k < wide; ++k) sums[j + k] += part[k];
        }
      }
      // The next block is asked for, line by line, in front of the tiles of this one.
      const Index ahead = p0 + time_block, more = rows - ahead < time_block ? rows - ahead : time_block;
      const Index lines = ((end - from) * static_cast<Index>(sizeof(T)) + line - 1) / line;
      const Index tiles = (dw.rows + tile_rows - 1) / tile_rows + (du.rows + tile_rows - 1) / tile_rows;
      Index fetched = 0, turn = 0;
      const auto fetch = [&] {
        ++turn;
        for (; fetched < more * turn / tiles; ++fetched)
          for (Index k = 0; k < lines; ++k)
            __builtin_prefetch(
                reinterpret_cast<const char*>(delta.data + (ahead + fetched) * delta.stride + from) + k * line, 0, 2);
      };
      tiles_over_time<T>(of_x, p0, deep, packed, fetch);
      tiles_over_time<T>(of_h, p0, deep, packed, fetch);
    }
    if (db)
      for (Index j = from; j < end; ++j) db[j] = static_cast<T>(sums[j - from]);
  });
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell
