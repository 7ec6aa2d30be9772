// The loops over time, for some sequences and any cell. Private to cpp/src/cpu.
#pragma once

#include <vector>

#include "cpu/columns.h"
#include "cpu/recurrent_tile.h"
#include "cpu/squares.h"
#include "elementwise/recurrent_steps.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

// Sequences that go through all steps together: their states stay in the second-level cache.
constexpr Index block_sequences = 64;

// The panel after this one is asked for while this one is worked on, a share of it before every tile.
template <class T>
struct PanelFetch {
  const char* data;
  Index lines, taken;
  PanelFetch(const T* panel, Index numbers, bool wanted)
      : data(reinterpret_cast<const char*>(panel)),
        lines(wanted ? numbers * static_cast<Index>(sizeof(T)) / 64 : 0),
        taken(0) {}
  void take(Index share) {
    for (; taken < share && taken < lines; ++taken) __builtin_prefetch(data + taken * 64, 0, 2);
  }
};
constexpr Index most_cached_bytes = 1700000;  // packed weights up to this stay in the second-level cache
template <class T>
GRADWELL_INLINE bool beyond_cache(const RecurrentRun<T>& run, Index inputs, bool back) {
  const Index numbers = panel_count<T>(run.kind, run.hidden, back) * panel_size<T>(run.kind, inputs, run.hidden, back);
  return numbers * static_cast<Index>(sizeof(T)) > most_cached_bytes;
}

// Runs tile(row, rows) for sequences first ... first + count, the next panel being fetched meanwhile.
template <class T, class Body>
GRADWELL_INLINE void over_tiles(Index first, Index count, int most, const T* next, Index size, bool fetching,
                                Body&& tile) {
  PanelFetch<T> fetch(next, size, fetching);
  for_each_tile(first, count, most, [&](Index row, int rows) {
    if (fetching) fetch.take(fetch.lines * (row - first + rows) / count);
    tile(row, rows);
  });
}

// A share of the work of a pass: some sequences through all steps, or some panels of all sequences through one.
struct Share {
  Index first, count;        // sequences
  Index begin, end;          // steps
  Index from_panel, panels;  // up to that panel
};

template <class T, class Cell>
void forward_share(const RecurrentRun<T>& run, const Cell& cell, Share share, Sequence<T> y) {
  const Index first = share.first, count = share.count;
  constexpr int width = lanes<T>;
  constexpr bool before = Cell::kind == CellKind::gru_before, gru = Cell::kind == CellKind::gru;
  const Index hidden = run.hidden, from_panel = share.from_panel, panels = share.panels;
  const Index size = panel_size<T>(run.kind, run.inputs, hidden, false), step = panel_step<T>(run.kind, false);
  const bool fetching = beyond_cache<T>(run, run.inputs, false);
  alignas(64) T sums[most_tile_rows * most_vectors * width];
  alignas(64) T apart[most_tile_rows * width];  // x W of gru's candidate
  for (int k = 0; k < most_tile_rows * width; ++k) apart[k] = 0;
  const auto pass = [&](Index t, auto tile_vectors, const T* from, Index offset, auto&& finish) {
    constexpr int vectors = decltype(tile_vectors)::value;
    for (Index j = from_panel; j < panels; ++j) {
      const T* const panel = run.panels + j * size + offset;
      const T* const next = run.panels + (j + 1 < panels ? j + 1 : from_panel) * size;
      over_tiles<T>(first, count, TileRows<vectors>::most, next, size, fetching, [&](Index row, int rows) {
        if (run.inputs > 0) {
          const T* const x = run.x + (t * run.batch + row) * run.inputs;
          any_recurrent_tile<T, vectors>({x, run.inputs, run.inputs, panel, step, false, sums}, rows);
          for (int i = 0; gru && i < rows; ++i) {
            store(apart + i * width, load(sums + (i * vectors + 2) * width));
            store(sums + (i * vectors + 2) * width, Pack<T>{});
          }
        }
        const T* const own = panel + run.inputs * step;
        any_recurrent_tile<T, vectors>({from + row * hidden, hidden, hidden, own, step, run.inputs > 0, sums}, rows);
        for (int i = 0; i < rows; ++i)
          for (int u = 0; u < Cell::units; ++u) {
            const Index unit = (j * Cell::units + u) * width;
            if (unit >= hidden) break;
            Pack<T> sum[most_vectors];
            for (int v = 0; v < vectors; ++v) sum[v] = load(sums + (i * vectors + (Cell::units > 1 ? u : v)) * width);
            if (gru) sum[3] = load(apart + i * width);
            const Index b = row + i;
            finish(row_of(run, t, b, unit), place_of(run, t, b), b, unit, sum);
          }
      });
    }
  };
  for (Index t = share.begin; t < share.end; ++t) {
    const T* const states = run.states + t * run.batch * hidden;
    pass(t, VectorCount<Cell::vectors>{}, states, 0,
         [&](const CellRow<T>& at, StepPlace place, Index b, Index unit, const Pack<T>* sum) {
           Pack<T> h = {};
           if (place.active) {
             h = cell.forward(at, sum);
           } else {
             skip_step(run, at);
           }
           if (!before) keep_state<T>(at, place.active, h, y, b, place.time, unit);
         });
    if constexpr (before)
      pass(t, VectorCount<1>{}, run.cells + t * run.batch * hidden, 2 * width,
           [&](const CellRow<T>& at, StepPlace place, Index b, Index unit, const Pack<T>* sum) {
             const Pack<T> h = place.active ? cell.candidate(at, sum[0]) : Pack<T>{};
             keep_state<T>(at, place.active, h, y, b, place.time, unit);
           });
  }
}

// The panels of the way back times the gradients of a step's gates, into sums, for `rows` sequences from `row`.
template <class T, class Cell>
GRADWELL_INLINE void back_product(const RecurrentRun<T>& run, Index t, Index row, int rows, const T* panel, T* sums) {
  constexpr int step = 2 * lanes<T>;
  const Index hidden = run.hidden, wide = Cell::gates * hidden, at = t * run.batch + row;
  const T* const gates = run.gates + at * wide;
  const Index deep = is_gru(Cell::kind) ? 2 * hidden : wide;
  any_recurrent_tile<T, 2>({gates, wide, deep, panel, step, false, sums}, rows);
  if constexpr (Cell::kind == CellKind::gru)
    any_recurrent_tile<T, 2>({run.cells + at * hidden, hidden, hidden, panel + deep * step, step, true, sums}, rows);
}

// Steps share.end - 1 ... share.begin; what reaches the first state is left to reach_first.
template <class T, class Cell, bool Records>
void backward_share(const RecurrentRun<T>& run, const Cell& cell, Share share, Sequence<const T> dy, Index dy_from,
                    T* dh, T* dc, double* norms) {
  const Index first = share.first, count = share.count;
  constexpr int width = lanes<T>, wide = 2 * width;
  constexpr bool before = Cell::kind == CellKind::gru_before, lstm = Cell::kind == CellKind::lstm;
  constexpr bool straight = is_gru(Cell::kind);
  const Index hidden = run.hidden, from_panel = share.from_panel, panels = share.panels;
  const Index size = panel_size<T>(run.kind, 0, hidden, true);
  const bool fetching = beyond_cache<T>(run, 0, true);
  alignas(64) T sums[most_tile_rows * 2 * width];
  constexpr int of_states = lstm ? 4 : 2;
  std::vector<T> states(static_cast<std::size_t>(Records ? count * of_states * hidden : 0));  // for the record
  const auto pass = [&](bool product, auto&& multiply, auto&& finish) {
    for (Index j = from_panel; j < panels; ++j) {
      const T* const panel = run.panels + j * size;
      const T* const next = run.panels + (j + 1 < panels ? j + 1 : from_panel) * size;
      over_tiles<T>(first, count, TileRows<2>::most, next, size, fetching, [&](Index row, int rows) {
        if (product) {
          multiply(row, rows, panel);
        } else {
          for (int k = 0; k < rows * wide; ++k) sums[k] = 0;
        }
        for (int i = 0; i < rows; ++i)
          for (int u = 0; u < 2; ++u) {
            const Index unit = j * wide + u * width;
            if (unit < hidden) finish(row + i, unit, load(sums + (i * 2 + u) * width));
          }
      });
    }
  };
  for (Index t = share.end - 1; t >= share.begin; --t) {
    const bool recorded = Records && t >= dy_from;
    pass(
        t + 1 < run.steps,
        [&](Index row, int rows, const T* panel) { back_product<T, Cell>(run, t + 1, row, rows, panel, sums); },
        [&](Index b, Index unit, Pack<T> sum) {
          const StepPlace place = place_of(run, t, b);
          if (!place.active) return;  // its gates are zeros, and what goes back waits in dh and dc
          const CellRow<T> at = row_of(run, t, b, unit);
          T* const waiting = dh + b * hidden + unit;
          CellBack<T> back;
          const bool waits = straight || !place.goes_on;
          const Pack<T> arrived = waits ? sum + load_n<T>(waiting, at.n) : sum;
          back.dh = arrived;
          if (dy.data && t >= dy_from) back.dh += load_n<T>(dy.data + b * dy.row + place.time * dy.step + unit, at.n);
          const Pack<T> total = back.dh;
          Pack<T> cell_arrived = {};
          if (lstm) back.dc = cell_arrived = load_n<T>(dc + b * hidden + unit, at.n);
          cell.backward(at, back);
          if (waits) store_n<T>(waiting, back.straight, at.n);
          if (lstm) store_n<T>(dc + b * hidden + unit, back.dc, at.n);
          if (!recorded) return;
          T* const to = states.data() + (b - first) * of_states * hidden + unit;
          store_n<T>(to, total, at.n);
          store_n<T>(to + hidden, place.goes_on ? arrived : Pack<T>{}, at.n);
          if (!lstm) return;
          store_n<T>(to + 2 * hidden, back.dc_whole, at.n);
          store_n<T>(to + 3 * hidden, place.goes_on ? cell_arrived : Pack<T>{}, at.n);
        });
    if constexpr (before)
      pass(
          true,
          [&](Index row, int rows, const T* panel) {
            const T* const candidate = run.gates + ((t * run.batch + row) * 3 + 2) * hidden;
            any_recurrent_tile<T, 2>({candidate, 3 * hidden, hidden, panel + 2 * hidden * wide, wide, false, sums},
                                     rows);
          },
          [&](Index b, Index unit, Pack<T> sum) {
            if (!place_of(run, t, b).active) return;
            const CellRow<T> at = row_of(run, t, b, unit);
            T* const waiting = dh + b * hidden + unit;
            store_n<T>(waiting, load_n<T>(waiting, at.n) + cell.reset(at, sum), at.n);
          });
    for (Index b = 0; recorded && b < count; ++b) {
      const StepPlace place = place_of(run, t, first + b);
      const T* const of_row = states.data() + b * of_states * hidden;
      const T* const gates = run.gates + (t * run.batch + first + b) * Cell::gates * hidden;
      for (int q = 0; q < of_states + Cell::gates; ++q) {
        const T* const values = q < of_states ? of_row + q * hidden : gates + (q - of_states) * hidden;
        double& norm = norms[(q * run.whole + place.time) * run.batch + first + b];
        norm = place.active ? norm_of(values, hidden) : 0;
      }
    }
  }
}

// dh += the product of the first step's gradients.
template <class T, class Cell>
void reach_first(const RecurrentRun<T>& run, Share share, T* dh) {
  constexpr int width = lanes<T>;
  const Index hidden = run.hidden, size = panel_size<T>(run.kind, 0, hidden, true);
  alignas(64) T sums[most_tile_rows * 2 * width];
  for (Index j = share.from_panel; j < share.panels; ++j)
    for_each_tile(share.first, share.count, TileRows<2>::most, [&](Index row, int rows) {
      back_product<T, Cell>(run, 0, row, rows, run.panels + j * size, sums);
      for (int i = 0; i < rows; ++i)
        for (int u = 0; u < 2; ++u) {
          const Index unit = (j * 2 + u) * width, left = hidden - unit;
          if (left <= 0) continue;
          const int n = static_cast<int>(left < width ? left : width);
          T* const to = dh + (row + i) * hidden + unit;
          store_n<T>(to, load_n<T>(to, n) + load(sums + (i * 2 + u) * width), n);
        }
    });
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell
