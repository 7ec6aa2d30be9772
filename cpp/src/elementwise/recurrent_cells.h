// One step of one vector of hidden units of one sequence, forward and back, a functor a cell (formulas:
// gradwell/recurrent.h). Shared by the levels of cpp/src/cpu and by cpp/src/cuda.
#pragma once

#include "elementwise/activation_functors.h"
#include "elementwise/recurrent_gates.h"
#include "gradwell/recurrent.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

// Where a sequence's row of a step lies: n units from the first that the pointers point at. Gates are `hidden` apart.
template <class T>
struct CellRow {
  Index hidden;
  int n;
  T* gates;
  const T* before;       // h'
  T* state;              // h
  const T* cell_before;  // c'
  T* cell;               // c, or what gru keeps
  const T* peephole;
  const T* bias;
  const T* input;  // x W + b, or b, where x W is among the sums; or null
  // What is known of gate k before the product.
  GRADWELL_MEMBER Pack<T> known(int k) const { return input ? load_n<T>(input + k * hidden, n) : Pack<T>{}; }
  GRADWELL_MEMBER Pack<T> gate(int k) const { return load_n<T>(gates + k * hidden, n); }
  GRADWELL_MEMBER void set_gate(int k, Pack<T> value) const { store_n<T>(gates + k * hidden, value, n); }
  GRADWELL_MEMBER Pack<T> peep(int k) const { return peephole ? load_n<T>(peephole + k * hidden, n) : Pack<T>{}; }
};

// What goes back: dC/dh of this step, dC/dc before and after this step's share, what goes straight on to h'.
template <class T>
struct CellBack {
  Pack<T> dh, dc, straight, dc_whole;
};

template <class T, class F>
struct RnnCell {
  static constexpr CellKind kind = CellKind::rnn;
  static constexpr int vectors = 2, units = 2, gates = 1;
  F f;
  GRADWELL_MEMBER Pack<T> forward(const CellRow<T>& at, const Pack<T>* sums) const {
    return f.value(at.known(0) + sums[0]);  // kept as the state, from which the way back takes it
  }
  GRADWELL_MEMBER void backward(const CellRow<T>& at, CellBack<T>& b) const {
    at.set_gate(0, b.dh * f.from_output(load_n<T>(at.state, at.n)));
    b.straight = Pack<T>{};
  }
};

template <class T>
struct LstmCell {
  static constexpr CellKind kind = CellKind::lstm;
  static constexpr int vectors = 4, units = 1, gates = 4;
  GRADWELL_MEMBER Pack<T> forward(const CellRow<T>& at, const Pack<T>* sums) const {
    const Pack<T> c0 = load_n<T>(at.cell_before, at.n);
    Pack<T> gate[4];
    Fraction<T> fraction[4];
    GRADWELL_UNROLL
    for (int k = 0; k < 4; ++k) gate[k] = at.known(k) + sums[k];
    if (at.peephole) {
      gate[0] = fma(at.peep(0), c0, gate[0]);
      gate[1] = fma(at.peep(1), c0, gate[1]);
    }
    const Pack<T> output = gate[3];
    fraction[0] = sigmoid_fraction<T>(gate[0]);
    fraction[1] = sigmoid_fraction<T>(gate[1]);
    fraction[2] = tanh_fraction<T>(gate[2]);
    fraction[3] = sigmoid_fraction<T>(output);
    divided<T>(fraction, gate);
    const Pack<T> c = fma(gate[1], c0, gate[0] * gate[2]);
    Pack<T> squashed;
    if (at.peephole) {
      divided<T>(sigmoid_fraction<T>(fma(at.peep(2), c, output)), tanh_fraction<T>(c), gate[3], squashed);
    } else {
      squashed = divided<T>(tanh_fraction<T>(c));
    }
    GRADWELL_UNROLL
    for (int k = 0; k < 4; ++k) at.set_gate(k, gate[k]);
    store_n<T>(at.cell, c, at.n);
    return gate[3] * squashed;
  }
  GRADWELL_MEMBER void backward(const CellRow<T>& at, CellBack<T>& b) const {
    const Pack<T> i = at.gate(0), f = at.gate(1), g = at.gate(2), o = at.gate(3);
    const Pack<T> c0 = load_n<T>(at.cell_before, at.n), c = load_n<T>(at.cell, at.n);
    const Pack<T> squashed = divided<T>(tanh_fraction<T>(c));
    const Pack<T> d_o = b.dh * squashed * (o * (T(1) - o));
    Pack<T> dc = fma(b.dh * o, (T(1) - squashed) * (T(1) + squashed), b.dc);
    if (at.peephole) dc = fma(d_o, at.peep(2), dc);
    const Pack<T> d_i = dc * g * (i * (T(1) - i));
    const Pack<T> d_f = dc * c0 * (f * (T(1) - f));
    b.dc_whole = dc;
    b.dc = dc * f;
    if (at.peephole) b.dc = fma(d_f, at.peep(1), fma(d_i, at.peep(0), b.dc));
    at.set_gate(0, d_i);
    at.set_gate(1, d_f);
    at.set_gate(2, dc * i * ((T(1) - g) * (T(1) + g)));
    at.set_gate(3, d_o);
    b.straight = Pack<T>{};
  }
};

template <class T>
struct GruCell {
  static constexpr CellKind kind = CellKind::gru;
  static constexpr int vectors = 3, units = 1, gates = 3;
  // sums[3] is x W of the candidate, where it is made here: r does not multiply it.
  GRADWELL_MEMBER Pack<T> forward(const CellRow<T>& at, const Pack<T>* sums) const {
    Pack<T> r, z;
    divided<T>(sigmoid_fraction<T>(at.known(0) + sums[0]), sigmoid_fraction<T>(at.known(1) + sums[1]), r, z);
    const Pack<T> own = at.bias ? sums[2] + load_n<T>(at.bias, at.n) : sums[2];
    const Pack<T> n = divided<T>(tanh_fraction<T>(fma(r, own, at.known(2) + sums[3])));
    at.set_gate(0, r);
    at.set_gate(1, z);
    at.set_gate(2, n);
    store_n<T>(at.cell, own, at.n);
    return fma(z, load_n<T>(at.before, at.n) - n, n);
  }
  GRADWELL_MEMBER void backward(const CellRow<T>& at, CellBack<T>& b) const {
    const Pack<T> r = at.gate(0), z = at.gate(1), n = at.gate(2), own = load_n<T>(at.cell, at.n);
    const Pack<T> d_n = b.dh * (T(1) - z) * ((T(1) - n) * (T(1) + n));
    at.set_gate(0, d_n * own * (r * (T(1) - r)));
    at.set_gate(1, b.dh * (load_n<T>(at.before, at.n) - n) * (z * (T(1) - z)));
    at.set_gate(2, d_n);
    store_n<T>(at.cell, d_n * r, at.n);
    b.straight = b.dh * z;
  }
};

// In two passes, since the candidate's product needs r of all units. Forward: r, z and r h'; then n and h. Back: n and
// z; then, with the product that gives dC/d(r h'), r.
template <class T>
struct GruBeforeCell {
  static constexpr CellKind kind = CellKind::gru_before;
  static constexpr int vectors = 2, units = 1, gates = 3;
  GRADWELL_MEMBER Pack<T> forward(const CellRow<T>& at, const Pack<T>* sums) const {
    Pack<T> r, z;
    divided<T>(sigmoid_fraction<T>(at.known(0) + sums[0]), sigmoid_fraction<T>(at.known(1) + sums[1]), r, z);
    at.set_gate(0, r);
    at.set_gate(1, z);
    store_n<T>(at.cell, r * load_n<T>(at.before, at.n), at.n);
    return Pack<T>{};
  }
  GRADWELL_MEMBER Pack<T> candidate(const CellRow<T>& at, Pack<T> sum) const {
    const Pack<T> n = divided<T>(tanh_fraction<T>(at.known(2) + sum));
    at.set_gate(2, n);
    return fma(at.gate(1), load_n<T>(at.before, at.n) - n, n);
  }
  GRADWELL_MEMBER void backward(const CellRow<T>& at, CellBack<T>& b) const {
    const Pack<T> z = at.gate(1), n = at.gate(2);
    at.set_gate(1, b.dh * (load_n<T>(at.before, at.n) - n) * (z * (T(1) - z)));
    at.set_gate(2, b.dh * (T(1) - z) * ((T(1) - n) * (T(1) + n)));
    b.straight = b.dh * z;
  }
  // Makes the gradient of r of d = dC/d(r h'); returns what goes on to h'.
  GRADWELL_MEMBER Pack<T> reset(const CellRow<T>& at, Pack<T> d) const {
    const Pack<T> r = at.gate(0);
    at.set_gate(0, d * load_n<T>(at.before, at.n) * (r * (T(1) - r)));
    return d * r;
  }
};

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell
