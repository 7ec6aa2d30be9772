#include "gradwell/recurrent.h"

#include "cpu/columns.h"
#include "cpu/level.h"
#include "cpu/over_time.h"
#include "cpu/recurrent_loops.h"
#include "cpu/recurrent_norm.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

template <class T>
Index panel_numbers(CellKind kind, Index inputs, Index hidden, bool back) {
  return panel_count<T>(kind, hidden, back) * panel_size<T>(kind, inputs, hidden, back);
}

template <class T>
bool fuses_input(CellKind kind, Index inputs, Index hidden) {
  return panel_numbers<T>(kind, inputs, hidden, false) * static_cast<Index>(sizeof(T)) <= most_cached_bytes;
}

template <class T, class Body>
GRADWELL_INLINE void with_cell(const RecurrentRun<T>& run, Body&& body) {
  switch (run.kind) {
    case CellKind::lstm:
      return body(LstmCell<T>{});
    case CellKind::gru:
      return body(GruCell<T>{});
    case CellKind::gru_before:
      return body(GruBeforeCell<T>{});
    case CellKind::rnn:
      if (run.activation == ActivationKind::tanh) return body(RnnCell<T, Tanh<T>>{{}});
      if (run.activation == ActivationKind::sigmoid) return body(RnnCell<T, Sigmoid<T>>{{}});
      return body(RnnCell<T, LeakyRelu<T>>{{T(0)}});
  }
}

// Calls body(first, count) for blocks of sequences, at least one a thread.
template <class T, class Body>
GRADWELL_INLINE void over_blocks(Context context, const RecurrentRun<T>& run, Index first, Index count, Body&& body) {
  if (count <= 0 || run.hidden <= 0) return;
  const Index work = count * run.steps * run.hidden * gates_of(run.kind) * run.hidden;
  Index blocks = (count + block_sequences - 1) / block_sequences;
  if (context.threads > blocks) blocks = context.threads < count ? context.threads : count;
  if (blocks % context.threads && blocks < 8 * context.threads) {  // as many for each thread
    blocks += context.threads - blocks % context.threads;
    if (blocks > count) blocks = count;
  }
  if (work < context.worth) blocks = (count + block_sequences - 1) / block_sequences;
  parallel_for(context, blocks, work, [&](Index k) {
    const Index begin = count * k / blocks;
    body(first + begin, count * (k + 1) / blocks - begin);
  });
}

// Where the weights are beyond a thread's cache, threads had better take panels, each its own part of the weights, and
// meet after every step: on a team that is awake. Any other time they take sequences and do not meet.
template <class T>
GRADWELL_INLINE bool by_panels(Context context, const RecurrentRun<T>& run, Index count, bool back) {
  return context.team && context.threads > 1 && run.kind != CellKind::gru_before && count <= block_sequences &&
         beyond_cache<T>(run, run.inputs, back);
}

// Calls body(share) for every share of one step.
template <class T, class Body>
GRADWELL_INLINE void over_panels(Context context, const RecurrentRun<T>& run, Index first, Index count, Index step,
                                 bool back, Body&& body) {
  const Index panels = panel_count<T>(run.kind, run.hidden, back), shares = 2 * context.threads;
  const Index work = count * run.hidden * gates_of(run.kind) * run.hidden;
  parallel_for(context, shares < panels ? shares : panels, work, [&](Index k) {
    const Index all = shares < panels ? shares : panels;
    body(Share{first, count, step, step + 1, panels * k / all, panels * (k + 1) / all});
  });
}

template <class T>
void forward(Context context, RecurrentRun<T> run, Index first, Index count, Sequence<T> y) {
  const Index panels = panel_count<T>(run.kind, run.hidden, false);
  with_cell<T>(run, [&](auto cell) {
    if (by_panels<T>(context, run, count, false)) {
      for (Index t = 0; t < run.steps; ++t)
        over_panels<T>(context, run, first, count, t, false,
                       [&](Share share) { forward_share<T>(run, cell, share, y); });
      return;
    }
    over_blocks<T>(context, run, first, count, [&](Index begin, Index some) {
      forward_share<T>(run, cell, {begin, some, 0, run.steps, 0, panels}, y);
    });
  });
}

template <class T>
void backward(Context context, RecurrentRun<T> run, Index first, Index count, Sequence<const T> dy, Index dy_from,
              T* dh, T* dc, double* norms) {
  const Index panels = panel_count<T>(run.kind, run.hidden, true);
  with_cell<T>(run, [&](auto cell) {
    using Cell = decltype(cell);
    if (run.steps > 0 && !norms && by_panels<T>(context, run, count, true)) {
      for (Index t = run.steps - 1; t >= 0; --t)
        over_panels<T>(context, run, first, count, t, true, [&](Share share) {
          backward_share<T, Cell, false>(run, cell, share, dy, dy_from, dh, dc, nullptr);
        });
      over_panels<T>(context, run, first, count, 0, true, [&](Share share) { reach_first<T, Cell>(run, share, dh); });
      return;
    }
    over_blocks<T>(context, run, first, count, [&](Index begin, Index some) {
      const Share share = {begin, some, 0, run.steps, 0, panels};
      if (norms) {
        backward_share<T, Cell, true>(run, cell, share, dy, dy_from, dh, dc, norms);
      } else {
        backward_share<T, Cell, false>(run, cell, share, dy, dy_from, dh, dc, nullptr);
      }
      if (run.steps > 0) reach_first<T, Cell>(run, share, dh);
    });
  });
}

template <class T>
void norm_forward(Context context, RecurrentRun<T> run, RecurrentNorm<T> norm, Index first, Index count,
                  Sequence<T> y) {
  over_blocks<T>(context, run, first, count,
                 [&](Index begin, Index some) { norm_forward_sequences<T>(run, norm, begin, some, y); });
}

template <class T>
void norm_backward(Context context, RecurrentRun<T> run, RecurrentNorm<T> norm, Index first, Index count,
                   Sequence<const T> dy, Index dy_from, T* dh, T* dc, double* norms) {
  over_blocks<T>(context, run, first, count, [&](Index begin, Index some) {
    norm_backward_sequences<T>(run, norm, begin, some, dy, dy_from, dh, dc, norms);
  });
}

template <class T>
void gradients(Context context, Matrix<const T> x, Matrix<const T> h, Matrix<const T> delta, Matrix<T> dw, Matrix<T> du,
               T* db) {
  over_time<T>(context, x, h, delta, dw, du, db);
}

// i and f see the cell before the step, o the one after.
template <class T>
void peephole(Context context, RecurrentRun<T> run, T* dpeephole) {
  constexpr int width = lanes<T>;
  const Index hidden = run.hidden, strips = (hidden + width - 1) / width;
  parallel_for(context, 3 * strips, 3 * run.steps * run.batch * hidden, [&](Index task) {
    const Index k = task / strips, unit = task % strips * width;
    const int n = static_cast<int>(hidden - unit < width ? hidden - unit : width);
    const T* const gates = run.gates + (k == 2 ? 3 : k) * hidden + unit;
    const T* const cells = run.cells + (k == 2 ? run.batch * hidden : 0) + unit;
    alignas(64) double sums[width];
    column_sums<T, 1>(run.steps * run.batch, sums, [&](Index row, int) {
      return load_n<T>(gates + row * 4 * hidden, n) * load_n<T>(cells + row * hidden, n);
    });
    for (int i = 0; i < n; ++i) dpeephole[k * hidden + unit + i] = static_cast<T>(sums[i]);
  });
}

}  // namespace

template <class T>
RecurrentKernels<T> recurrent_kernels() {
  return {panel_numbers<T>, pack_recurrent<T>, fuses_input<T>,   forward<T>,        backward<T>,
          gradients<T>,     norm_forward<T>,   norm_backward<T>, norm_gradients<T>, peephole<T>};
}
template RecurrentKernels<float> recurrent_kernels<float>();
template RecurrentKernels<double> recurrent_kernels<double>();

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell
