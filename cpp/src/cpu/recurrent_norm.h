// The loops over time of an lstm with layer normalisation. Private to cpp/src/cpu.
//
// The product is made tile by tile as in recurrent_loops.h; what follows needs whole rows, so it goes over each row
// three times: gates and cell, the cell's moments, the state; and back likewise.
#pragma once

#include "cpu/columns.h"
#include "cpu/recurrent_loops.h"
#include "cpu/time_squares.h"
#include "elementwise/normal.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

// Adds the lanes of x that belong to the row.
template <class T>
struct RowSum {
  alignas(64) double lane[lanes<T>] = {};
  void add(Pack<T> x, int n) {
    alignas(64) T part[lanes<T>];
    store(part, x);
    for (int k = 0; k < n; ++k) lane[k] += static_cast<double>(part[k]);
  }
  double total() const {
    double sum = 0;
    for (int k = 0; k < lanes<T>; ++k) sum += lane[k];
    return sum;
  }
};

// x becomes (x - mean) / sqrt(variance + epsilon); returns 1 / sqrt(variance + epsilon).
template <class T>
GRADWELL_INLINE double normalise(const T* from, Index count, double epsilon, T* to) {
  RowSum<T> sum, squares;
  for_each_pack<T>(count, [&](Index i, int n) { sum.add(load_n<T>(from + i, n), n); });
  const Split<T> mean = split<T>(sum.total() / static_cast<double>(count));
  for_each_pack<T>(count, [&](Index i, int n) {
    const Pack<T> d = load_n<T>(from + i, n) - mean.high - mean.low;
    squares.add(d * d, n);
  });
  const double scale = 1 / __builtin_sqrt(squares.total() / static_cast<double>(count) + epsilon);
  const T factor = static_cast<T>(scale);
  for_each_pack<T>(
      count, [&](Index i, int n) { store_n<T>(to + i, (load_n<T>(from + i, n) - mean.high - mean.low) * factor, n); });
  return scale;
}

// The gradient of a row of gradient g that was normalised to `normal`: (g - mean g - normal mean(g normal)) scale.
template <class T, class Gradient, class Store>
GRADWELL_INLINE void denormalise(const T* normal, Index count, double scale, Gradient&& g, Store&& put) {
  RowSum<T> sum, products;
  for_each_pack<T>(count, [&](Index i, int n) {
    sum.add(g(i, n), n);
    products.add(g(i, n) * load_n<T>(normal + i, n), n);
  });
  const T mean = static_cast<T>(sum.total() / static_cast<double>(count));
  const T slope = static_cast<T>(products.total() / static_cast<double>(count));
  const T factor = static_cast<T>(scale);
  for_each_pack<T>(count,
                   [&](Index i, int n) { put(i, n, (g(i, n) - mean - load_n<T>(normal + i, n) * slope) * factor); });
}

// h' U of `count` sequences at step t, into norm.u.
template <class T>
GRADWELL_INLINE void norm_product(const RecurrentRun<T>& run, const RecurrentNorm<T>& norm, Index t, Index first,
                                  Index count) {
  constexpr int width = lanes<T>;
  const Index hidden = run.hidden, step = panel_step<T>(run.kind, false);
  const Index size = panel_size<T>(run.kind, 0, hidden, false);
  alignas(64) T sums[most_tile_rows * most_vectors * width];
  for (Index j = 0; j < panel_count<T>(run.kind, hidden, false); ++j)
    for_each_tile(first, count, TileRows<4>::most, [&](Index row, int rows) {
      const T* const states = run.states + (t * run.batch + row) * hidden;
      any_recurrent_tile<T, 4>({states, hidden, hidden, run.panels + j * size, step, false, sums}, rows);
      const Index left = hidden - j * width;
      const int n = static_cast<int>(left < width ? left : width);
      for (int i = 0; i < rows; ++i)
        for (int k = 0; k < 4; ++k)
          store_n<T>(norm.u + (t * run.batch + row + i) * 4 * hidden + k * hidden + j * width,
                     load(sums + (i * 4 + k) * width), n);
    });
}

template <class T>
void norm_forward_sequences(const RecurrentRun<T>& run, const RecurrentNorm<T>& norm, Index first, Index count,
                            Sequence<T> y) {
  const Index hidden = run.hidden;
  const LstmCell<T> cell;
  for (Index t = 0; t < run.steps; ++t) {
    norm_product(run, norm, t, first, count);
    for (Index b = first; b < first + count; ++b) {
      const StepPlace place = place_of(run, t, b);
      const Index at_row = t * run.batch + b;
      T* const u = norm.u + at_row * 4 * hidden;
      T* const c = norm.c + at_row * hidden;
      norm.recurrent_scale[at_row] = normalise<T>(u, 4 * hidden, norm.epsilon, u);
      for_each_pack<T>(hidden, [&](Index unit, int n) {
        const CellRow<T> at = row_of(run, t, b, unit);
        if (!place.active) return skip_step(run, at);
        Pack<T> sums[4];
        for (int k = 0; k < 4; ++k)
          sums[k] = load_n<T>(u + k * hidden + unit, n) * load_n<T>(norm.recurrent_gain + k * hidden + unit, n);
        cell.forward(at, sums);
      });
      const T* const cells = run.cells + (at_row + run.batch) * hidden;
      norm.cell_scale[at_row] = normalise<T>(cells, hidden, norm.epsilon, c);
      for_each_pack<T>(hidden, [&](Index unit, int n) {
        const CellRow<T> at = row_of(run, t, b, unit);
        const Pack<T> shifted =
            fma(load_n<T>(c + unit, n), load_n<T>(norm.cell_gain + unit, n), load_n<T>(norm.cell_shift + unit, n));
        keep_state<T>(at, place.active, at.gate(3) * divided<T>(tanh_fraction<T>(shifted)), y, b, place.time, unit);
      });
    }
  }
}

// The part of one sequence's step behind dC/dh, which `total` holds: gates become gradients, dc that of the cell
// before, norm.du that of h' U.
template <class T>
GRADWELL_INLINE void norm_step_back(const RecurrentRun<T>& run, const RecurrentNorm<T>& norm, Index t, Index b,
                                    const T* total, T* dc, Pack<double> (*squares)[square_parts<T>]) {
  const Index hidden = run.hidden, at_row = t * run.batch + b;
  const T* const normal = norm.c + at_row * hidden;
  T* const shifted = norm.dc + at_row * hidden;
  for_each_pack<T>(hidden, [&](Index unit, int n) {
    const CellRow<T> at = row_of(run, t, b, unit);
    const Pack<T> gain = load_n<T>(norm.cell_gain + unit, n), o = at.gate(3), dh = load_n<T>(total + unit, n);
    const Pack<T> squashed =
        divided<T>(tanh_fraction<T>(fma(load_n<T>(normal + unit, n), gain, load_n<T>(norm.cell_shift + unit, n))));
    store_n<T>(shifted + unit, dh * o * ((T(1) - squashed) * (T(1) + squashed)), n);
    at.set_gate(3, dh * squashed * (o * (T(1) - o)));
  });
  const auto of_cell = [&](Index unit, int n) {
    return load_n<T>(shifted + unit, n) * load_n<T>(norm.cell_gain + unit, n);
  };
  denormalise<T>(normal, hidden, norm.cell_scale[at_row], of_cell, [&](Index unit, int n, Pack<T> own) {
    const CellRow<T> at = row_of(run, t, b, unit);
    const Pack<T> i = at.gate(0), f = at.gate(1), g = at.gate(2), whole = load_n<T>(dc + unit, n) + own;
    if (squares) add_square(squares[2], whole);
    at.set_gate(0, whole * g * (i * (T(1) - i)));
    at.set_gate(1, whole * load_n<T>(at.cell_before, n) * (f * (T(1) - f)));
    at.set_gate(2, whole * i * ((T(1) - g) * (T(1) + g)));
    store_n<T>(dc + unit, whole * f, n);
    for (int k = 0; squares && k < 4; ++k) add_square(squares[4 + k], at.gate(k));
  });
  const T* const gates = run.gates + at_row * 4 * hidden;
  const auto of_gates = [&](Index i, int n) { return load_n<T>(gates + i, n) * load_n<T>(norm.recurrent_gain + i, n); };
  denormalise<T>(norm.u + at_row * 4 * hidden, 4 * hidden, norm.recurrent_scale[at_row], of_gates,
                 [&](Index i, int n, Pack<T> d) { store_n<T>(norm.du + at_row * 4 * hidden + i, d, n); });
}

template <class T>
void norm_backward_sequences(const RecurrentRun<T>& run, const RecurrentNorm<T>& norm, Index first, Index count,
                             Sequence<const T> dy, Index dy_from, T* dh, T* dc, double* norms) {
  constexpr int width = lanes<T>, quantities = 8;
  const Index hidden = run.hidden, size = panel_size<T>(run.kind, 0, hidden, true);
  RecurrentRun<T> product = run;
  product.gates = norm.du;
  alignas(64) T sums[most_tile_rows * 2 * width];
  // dh += the product of step t's gradients, for sequences that go on or, at the first, for all.
  const auto add_product = [&](Index t, auto&& wanted) {
    for (Index j = 0; j < panel_count<T>(run.kind, hidden, true); ++j)
      for_each_tile(first, count, TileRows<2>::most, [&](Index row, int rows) {
        back_product<T, LstmCell<T>>(product, t, row, rows, run.panels + j * size, sums);
        for (int i = 0; i < rows; ++i)
          for (int v = 0; v < 2; ++v) {
            const Index unit = (j * 2 + v) * width;
            if (unit >= hidden || !wanted(row + i)) continue;
            const int n = static_cast<int>(hidden - unit < width ? hidden - unit : width);
            T* const to = dh + (row + i) * hidden + unit;
            store_n<T>(to, load_n<T>(to, n) + load(sums + (i * 2 + v) * width), n);
          }
      });
  };
  for (Index t = run.steps - 1; t >= 0; --t) {
    const bool recorded = norms && t >= dy_from;
    if (t + 1 < run.steps) add_product(t + 1, [&](Index b) { return place_of(run, t, b).goes_on; });
    for (Index b = first; b < first + count; ++b) {
      const StepPlace place = place_of(run, t, b);
      const Index at_row = t * run.batch + b;
      if (!place.active) {
        for (Index i = 0; i < 4 * hidden; ++i) norm.du[at_row * 4 * hidden + i] = 0;
        for (Index i = 0; i < hidden; ++i) norm.dc[at_row * hidden + i] = 0;
      }
      Pack<double> row_squares[quantities][square_parts<T>] = {};
      if (place.active) {
        T* const total = dh + b * hidden;
        for_each_pack<T>(hidden, [&](Index unit, int n) {
          const Pack<T> arrived = load_n<T>(total + unit, n);
          Pack<T> whole = arrived;
          if (dy.data && t >= dy_from) whole += load_n<T>(dy.data + b * dy.row + place.time * dy.step + unit, n);
          store_n<T>(total + unit, whole, n);
          if (!recorded) return;
          add_square(row_squares[0], whole);
          if (place.goes_on) add_square(row_squares[1], arrived);
          if (place.goes_on) add_square(row_squares[3], load_n<T>(dc + b * hidden + unit, n));
        });
        norm_step_back<T>(run, norm, t, b, total, dc + b * hidden, recorded ? row_squares : nullptr);
        for (Index i = 0; i < hidden; ++i) total[i] = 0;
      }
      for (int q = 0; recorded && q < quantities; ++q)
        norms[(q * run.whole + place.time) * run.batch + b] = norm_of_squares(row_squares[q]);
    }
  }
  if (run.steps > 0) add_product(0, [](Index) { return true; });
}

template <class T>
void norm_gradients(Context context, RecurrentRun<T> run, RecurrentNorm<T> norm, T* drecurrent_gain, T* dcell_gain,
                    T* dcell_shift) {
  constexpr int width = lanes<T>;
  const Index hidden = run.hidden, rows = run.steps * run.batch;
  // to[j] = sum over rows of a b, or of a alone.
  const auto sums_of = [&](const T* a, const T* b, Index columns, T* to) {
    parallel_for(context, (columns + width - 1) / width, rows * columns, [&](Index task) {
      const Index j = task * width;
      const int n = static_cast<int>(columns - j < width ? columns - j : width);
      alignas(64) double sums[width];
      column_sums<T, 1>(rows, sums, [&](Index row, int) {
        const Pack<T> x = load_n<T>(a + row * columns + j, n);
        return b ? x * load_n<T>(b + row * columns + j, n) : x;
      });
      for (int i = 0; i < n; ++i) to[j + i] = static_cast<T>(sums[i]);
    });
  };
  sums_of(run.gates, norm.u, 4 * hidden, drecurrent_gain);
  sums_of(norm.dc, norm.c, hidden, dcell_gain);
  sums_of(norm.dc, nullptr, hidden, dcell_shift);
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell
