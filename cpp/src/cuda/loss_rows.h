// The loss of one row, by the threads that take it together. Private to cpp/src/cuda.
#pragma once

#include "cuda/rows.h"
#include "elementwise/loss_terms.h"

namespace gradwell {
namespace cuda {

// Its outputs, its targets (a class number, or values), and where its gradient goes (or null).
template <class T>
struct Row {
  const T* a;
  const T* values;
  Index target;
  Index columns;
  T scale;  // 1 / batch
  T* d;
  // Loops that write `d` read through pointers that nothing else writes by, so that loads may run ahead of stores.
  __device__ T target_at(Index j) const { return values ? values[j] : static_cast<T>(j == target); }
};

// The largest number of a row and where it is first; NaN counts only where all are.
template <class T>
struct Largest {
  T value;
  Index column;
};

template <class T, class Threads>
__device__ Largest<T> find_largest(Threads, const T* x, Index columns) {
  T most = -Constants<T>::infinity;
  Index first = columns;
  GRADWELL_UNROLL_BY(4)
  for (Index j = Threads::rank(); j < columns; j += Threads::count) {
    const T value = x[j];
    if (value > most || (first == columns && value == most)) {
      most = value;
      first = j;
    }
  }
  const T value = Threads::join(most, Greater{}, -Constants<T>::infinity);
  return {value, Threads::join(most == value ? first : columns, Lesser{}, columns)};
}

// As on the CPU, which goes from the first column on: where that is NaN, it stays there.
template <class T, class Threads>
__device__ bool is_correct(Threads threads, const Row<T>& row, const Largest<T>& largest) {
  Index wanted = row.target;
  if (row.values) {
    const Largest<T> value = find_largest(threads, row.values, row.columns);
    wanted = row.columns > 0 && row.values[0] == row.values[0] ? value.column : 0;
  }
  if (row.columns < 1) return false;
  const T first = row.a[0];
  if (row.columns == 1) return row.target_at(0) > T(0.5) ? first > 0 : first <= 0;
  return first == first && largest.column == wanted;
}

struct SoftmaxCrossEntropy {
  template <class T, class Threads>
  __device__ double operator()(Threads, const Row<T>& row, T top) const {
    double total = 0, weight = 0, inner = 0;
    GRADWELL_UNROLL_BY(4)
    for (Index j = Threads::rank(); j < row.columns; j += Threads::count) {
      const T shifted = row.a[j] - top;
      total += static_cast<double>(exp<T>(shifted));
      if (!row.values) continue;
      const T t = row.values[j];
      weight += static_cast<double>(t);
      inner += static_cast<double>(softmax_inner<T>(t, shifted));
    }
    total = Threads::join(total, Plus{}, 0.0);
    if (row.values) {
      weight = Threads::join(weight, Plus{}, 0.0);
      inner = Threads::join(inner, Plus{}, 0.0);
    } else {
      weight = 1;
      inner = row.columns > 0 ? static_cast<double>(row.a[row.target] - top) : 0.0;
    }
    if (row.d) {
      const T factor = static_cast<T>(weight / total);
      const T* __restrict__ const outputs = row.a;
      T* __restrict__ const d = row.d;
      GRADWELL_UNROLL_BY(4)
      for (Index j = Threads::rank(); j < row.columns; j += Threads::count)
        d[j] = (exp<T>(outputs[j] - top) * factor - row.target_at(j)) * row.scale;
    }
    return weight * static_cast<double>(log<T>(static_cast<T>(total))) - inner;
  }
};

struct SigmoidCrossEntropy {
  template <class T, class Threads>
  __device__ double operator()(Threads, const Row<T>& row, T) const {
    const T* __restrict__ const outputs = row.a;
    T* __restrict__ const d = row.d;
    double cost = 0;
    GRADWELL_UNROLL_BY(4)
    for (Index j = Threads::rank(); j < row.columns; j += Threads::count) {
      const T a = outputs[j], t = row.target_at(j), e = exp<T>(-magnitude<T>(a));
      cost += static_cast<double>(sigmoid_cost<T>(a, t, e));
      if (d) d[j] = sigmoid_slope<T>(a, t, e) * row.scale;
    }
    return Threads::join(cost, Plus{}, 0.0);
  }
};

struct Squares {
  bool mean;  // over the outputs; else half the sum
  template <class T, class Threads>
  __device__ double operator()(Threads, const Row<T>& row, T) const {
    const double inverse = 1.0 / static_cast<double>(row.columns);
    const T factor = mean ? static_cast<T>(2 * inverse * static_cast<double>(row.scale)) : row.scale;
    const T* __restrict__ const outputs = row.a;
    T* __restrict__ const d = row.d;
    double cost = 0;
    GRADWELL_UNROLL_BY(4)
    for (Index j = Threads::rank(); j < row.columns; j += Threads::count) {
      const T difference = outputs[j] - row.target_at(j);
      cost += static_cast<double>(difference) * static_cast<double>(difference);
      if (d) d[j] = difference * factor;
    }
    return Threads::join(cost, Plus{}, 0.0) * (mean ? inverse : 0.5);
  }
};

}  // namespace cuda
}  // namespace gradwell
