// Recurrent cells over whole sequences, forward and back through time.
//
//   rnn         h = f(x W + h' U + b)                                                             (Elman 1990)
//   lstm        i, f, o = sigmoid(x W + h' U + b + p c), g = tanh(x W + h' U + b)   (Hochreiter, Schmidhuber 1997;
//               c = f c' + i g,  h = o tanh(c)                          forget gate and peepholes: Gers et al. 2000)
//   gru         r, z = sigmoid(x W + h' U + b), n = tanh(x W + b + r (h' U + b_n)), h = (1 - z) n + z h'
//   gru_before  the same with n = tanh(x W + b + (r h') U)                                     (Cho et al. 2014)
//
// with h', c' the state of the step before; p multiplies c' for i and f, c for o. Gates lie side by side, `hidden`
// columns each: i f g o, or r z n. Sequences lie time-major: row t * batch + b. The caller makes x W + b of all steps
// in one product; a step then makes the recurrent product, the gates and the new state in one pass over registers.
// Going back, gates turn into dC/d(x W + b + h' U) in their place, from which the caller makes the gradients of W, U, b
// in one product over time. Rows are sequences: they do not depend on one another, so threads take some each and never
// meet.
#pragma once

#include "gradwell/types.h"

#if defined(__CUDACC__)
#define GRADWELL_ANYWHERE __host__ __device__
#else
#define GRADWELL_ANYWHERE
#endif

namespace gradwell {

enum class CellKind : int { rnn, lstm, gru, gru_before };

GRADWELL_ANYWHERE static constexpr int gates_of(CellKind kind) {
  return kind == CellKind::rnn ? 1 : (kind == CellKind::lstm ? 4 : 3);
}
GRADWELL_ANYWHERE static constexpr bool is_gru(CellKind kind) {
  return kind == CellKind::gru || kind == CellKind::gru_before;
}

// Element (b, t, j) is data[b * row + t * step + j].
template <class T>
struct Sequence {
  T* data;
  Index row;
  Index step;
};

// What the record keeps of each step and sequence: norms of dC/dh and of the part of it that came back through time;
// the same of dC/dc (lstm only); of dC/d(pre-activation), gate by gate. Each is (steps, batch).
GRADWELL_ANYWHERE static constexpr int time_quantities(CellKind kind) {
  return gates_of(kind) + (kind == CellKind::lstm ? 4 : 2);
}

// A run of steps of `batch` sequences. Steps count from `origin` of the whole sequence. A sequence takes part in a step
// only where it is below its length; beyond it the state stays and the output is 0. In reverse, step t reads what is
// t steps before a sequence's end.
template <class T>
struct RecurrentRun {
  CellKind kind;
  ActivationKind activation;  // of rnn: sigmoid, tanh or relu
  Index batch, steps, hidden;
  Index origin, whole;   // steps before this run, and of the whole sequence
  const Index* lengths;  // (batch) or null: all are whole
  bool reverse;
  const T* peephole;    // (3, hidden): i, f, o; or null
  const T* bias;        // b_n (hidden) or null
  Index inputs;         // 0: gates hold x W + b before the pass
  const T* x;           // (steps * batch, inputs)
  const T* input_bias;  // b (gates * hidden) or null; both only where inputs > 0
  const T* panels;      // the weights as `pack` lays them out
  T* gates;             // (steps * batch, gates * hidden)
  T* states;            // ((steps + 1) * batch, hidden): the state before each step and after the last
  T* cells;             // lstm: c, as states. gru: h' U + b_n of the candidate (steps * batch, hidden), going back its
                        // gradient; gru_before: r h'.
};

// An lstm with layer normalisation (Ba, Kiros, Hinton 2016): with ^ the normalised row of a vector,
//
//   z = (x W)^ g_x + (h' U)^ g_h + b,   c = f c' + i g,   h = o tanh(c^ g_c + b_c)
//
// of which the caller makes (x W)^ g_x + b and its way back. Sums over a row are kept in double, in order.
template <class T>
struct RecurrentNorm {
  const T *recurrent_gain, *cell_gain, *cell_shift;  // (4 * hidden), (hidden), (hidden)
  double epsilon;
  T *u, *du;                             // (steps * batch, 4 * hidden): (h' U)^, and the gradient of h' U
  T *c, *dc;                             // (steps * batch, hidden): c^, and the gradient of c^ g_c + b_c
  double *recurrent_scale, *cell_scale;  // (steps * batch): 1 / sqrt(variance + epsilon)
};

template <class T>
struct RecurrentKernels {
  // Numbers that packed panels take; with inputs > 0 they hold W too.
  Index (*panel_numbers)(CellKind, Index inputs, Index hidden, bool back);
  // weight (inputs or 0, gates * hidden) and recurrent (hidden, gates * hidden), for the way forward or back.
  void (*pack)(Context, CellKind, Matrix<const T> weight, Matrix<const T> recurrent, bool back, T* panels);
  // Whether x W is best made step by step.
  bool (*fuses_input)(CellKind, Index inputs, Index hidden);
  // Sequences first ... first + count; y may be null.
  void (*forward)(Context, RecurrentRun<T>, Index first, Index count, Sequence<T> y);
  // dy, which may be null, counts from step `dy_from` of the run. dh, dc (batch, hidden): in, the gradients of the
  // last state; out, of the first. norms (quantities, whole, batch) may be null.
  void (*backward)(Context, RecurrentRun<T>, Index first, Index count, Sequence<const T> dy, Index dy_from, T* dh,
                   T* dc, double* norms);
  // dw = x^T delta, du = h^T delta and db = sum of delta over all rows, in one pass over delta. x and h may have no
  // columns; db may be null. Each element is summed in the order of the rows.
  void (*gradients)(Context, Matrix<const T> x, Matrix<const T> h, Matrix<const T> delta, Matrix<T> dw, Matrix<T> du,
                    T* db);
  // The same of an lstm with layer normalisation; panels without W.
  void (*norm_forward)(Context, RecurrentRun<T>, RecurrentNorm<T>, Index first, Index count, Sequence<T> y);
  void (*norm_backward)(Context, RecurrentRun<T>, RecurrentNorm<T>, Index first, Index count, Sequence<const T> dy,
                        Index dy_from, T* dh, T* dc, double* norms);
  // The gradients of its gains and its shift.
  void (*norm_gradients)(Context, RecurrentRun<T>, RecurrentNorm<T>, T* drecurrent_gain, T* dcell_gain, T* dcell_shift);
  // dpeephole (3, hidden) from gates, which hold gradients.
  void (*peephole)(Context, RecurrentRun<T>, T* dpeephole);
};

}  // namespace gradwell
