// The recurrent product, a few rows by one panel at a time, and how its weight is packed. Private to cpp/src/cpu.
//
// Going forward a panel holds the columns of all gates for one vector of hidden units, so that a tile has all that a
// unit's gates need; the one gate of a plain cell takes two vectors. Going back it is two vectors of the transposed
// weight. Panels are read in order, once a tile, and padded with zeros to whole vectors.
#pragma once

#include "cpu/pack.h"
#include "cpu/parallel.h"
#include "gradwell/recurrent.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

// Rows that leave registers for one row of the panel and a broadcast.
template <int Vectors>
struct TileRows {
#if defined(__AVX512F__) || defined(__aarch64__)
  static constexpr int most = Vectors == 4 ? 6 : (Vectors == 3 ? 8 : 14);
#else
  static constexpr int most = Vectors == 4 ? 2 : (Vectors == 3 ? 4 : 6);
#endif
};

constexpr int most_tile_rows = 14;
constexpr int most_vectors = 4;

// Vectors of hidden units that a panel spans.
static constexpr int spans(CellKind kind, bool back) {
  return back || kind == CellKind::rnn ? 2 : 1;
}

template <class T>
GRADWELL_INLINE Index panel_count(CellKind kind, Index hidden, bool back) {
  const Index wide = spans(kind, back) * lanes<T>;
  return (hidden + wide - 1) / wide;
}

// Numbers in a row of a panel, and rows: going forward those of W, where it is packed along, and of U.
template <class T>
GRADWELL_INLINE Index panel_step(CellKind kind, bool back) {
  return (back || kind == CellKind::rnn ? 2 : gates_of(kind)) * lanes<T>;
}
template <class T>
GRADWELL_INLINE Index panel_size(CellKind kind, Index inputs, Index hidden, bool back) {
  return (back ? gates_of(kind) * hidden : inputs + hidden) * panel_step<T>(kind, back);
}

// What a tile is made of: `rows` of a (row stride `row`) times a panel whose rows are `step` numbers apart, added to
// what is in `sums` or not. sums (rows, Vectors * lanes).
template <class T>
struct RecurrentTile {
  const T* a;
  Index row;
  Index depth;
  const T* panel;
  Index step;
  bool adds;
  T* sums;
};

template <class T, int Rows, int Vectors>
static void recurrent_tile(const RecurrentTile<T>& job) {
  constexpr int width = lanes<T>;
  Pack<T> sum[Rows][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[i][v] = job.adds ? load(job.sums + (i * Vectors + v) * width) : Pack<T>{};
  const T* a = job.a;
  const T* panel = job.panel;
  const Index row = job.row;
  for (Index p = 0; p < job.depth; ++p, ++a, panel += job.step) {
    Pack<T> right[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) right[v] = load(panel + v * width);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const Pack<T> left = broadcast(a[i * row]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[i][v] = fma(left, right[v], sum[i][v]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) store(job.sums + (i * Vectors + v) * width, sum[i][v]);
}

template <class T, int Vectors, int Rows = TileRows<Vectors>::most>
GRADWELL_INLINE void any_recurrent_tile(const RecurrentTile<T>& job, int rows) {
  if (rows == Rows) return recurrent_tile<T, Rows, Vectors>(job);
  if constexpr (Rows > 1) any_recurrent_tile<T, Vectors, Rows - 1>(job, rows);
}

// Calls body(first, count) for rows [first, first + count) cut into tiles of nearly equal height.
template <class Body>
GRADWELL_INLINE void for_each_tile(Index first, Index count, int most, Body&& body) {
  const Index tiles = (count + most - 1) / most;
  for (Index t = 0; t < tiles; ++t) {
    const Index begin = count * t / tiles;
    body(first + begin, static_cast<int>(count * (t + 1) / tiles - begin));
  }
}

// One panel going forward, of all rows of a weight.
template <class T>
GRADWELL_INLINE T* pack_rows(CellKind kind, Matrix<const T> weight, Index hidden, Index j, T* to) {
  constexpr int width = lanes<T>;
  const bool plain = kind == CellKind::rnn;
  const int vectors = plain ? 2 : gates_of(kind);
  for (Index p = 0; p < weight.rows; ++p)
    for (int v = 0; v < vectors; ++v, to += width) {
      const Index unit = (plain ? j * 2 + v : j) * width, left = hidden - unit;
      const T* const from = weight.data + p * weight.stride + (plain ? 0 : v * hidden) + unit;
      store(to, left >= width ? load(from) : (left > 0 ? load_part(from, static_cast<int>(left)) : Pack<T>{}));
    }
  return to;
}

template <class T>
void pack_recurrent(Context context, CellKind kind, Matrix<const T> weight, Matrix<const T> recurrent, bool back,
                    T* panels) {
  constexpr int width = lanes<T>;
  const Index hidden = recurrent.rows, size = panel_size<T>(kind, weight.rows, hidden, back);
  const Index work = (weight.rows + recurrent.rows) * recurrent.columns;
  parallel_for(context, panel_count<T>(kind, hidden, back), work, [&](Index j) {
    T* to = panels + j * size;
    if (!back) {
      to = pack_rows<T>(kind, weight, hidden, j, to);
      pack_rows<T>(kind, recurrent, hidden, j, to);
      return;
    }
    for (Index c = 0; c < recurrent.columns; c += width)  // row c: recurrent[unit, c] of the panel's units
      for (int v = 0; v < 2; ++v) {
        const int deep = static_cast<int>(recurrent.columns - c < width ? recurrent.columns - c : width);
        Pack<T> square[width];
        for (int k = 0; k < width; ++k) {
          const Index unit = (j * 2 + v) * width + k;
          square[k] = unit < hidden ? load_n<T>(recurrent.data + unit * recurrent.stride + c, deep) : Pack<T>{};
        }
        transpose(square, T{});
        for (int k = 0; k < deep; ++k) store(to + ((c + k) * 2 + v) * width, square[k]);
      }
  });
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell
