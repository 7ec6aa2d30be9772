#include "gradwell/loss.h"

#include "cpu/level.h"
#include "cpu/parallel.h"
#include "elementwise/loss_terms.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

// Sum of the lanes in double, in a fixed order.
template <class T>
double sum_pack(Pack<T> x) {
  T lane[lanes<T>];
  store(lane, x);
  Pack<double> wide = load_wide(lane, 0);
  for (int p = 1; p < wide_parts<T>; ++p) wide += load_wide(lane, p);
  double sum = 0;
  for (int k = 0; k < lanes<double>; ++k) sum += wide[k];
  return sum;
}
// x in the first n lanes, 0 in the others.
template <class T>
Pack<T> first_n(Pack<T> x, int n) {
  Bits<T> lane;
  for (int k = 0; k < lanes<T>; ++k) lane[k] = k;
  return lane < static_cast<typename Simd<T>::Integer>(n) ? x : Pack<T>{};
}

// One row: its outputs, its targets (a class number, or values), and where its gradient goes (or null).
template <class T>
struct Row {
  const T* a;
  const T* values;
  Index target;
  Index columns;
  T scale;  // 1 / batch
  T* d;

  T target_at(Index j) const { return values ? values[j] : static_cast<T>(j == target); }
  // The targets of columns j ... j + n - 1, zero beyond.
  Pack<T> targets(Index j, int n) const {
    if (values) return load_n<T>(values + j, n);
    T lane[lanes<T>] = {};
    if (target >= j && target < j + n) lane[target - j] = 1;
    return load(lane);
  }
};

// What is known of a row once its exponentials are summed. The gradient's place holds them meanwhile.
template <class T>
struct Softmax {
  T top;
  double total, weight, inner;
};

template <class T>
Softmax<T> sum_exponentials(const Row<T>& row) {
  T top = row.a[0];
  for (Index j = 1; j < row.columns; ++j) top = row.a[j] > top ? row.a[j] : top;
  Softmax<T> s = {top, 0, 1, 0};
  if (row.values) s.weight = 0;
  for_each_pack<T>(row.columns, [&](Index j, int n) {
    const Pack<T> shifted = load_n<T>(row.a + j, n) - top;
    const Pack<T> e = exp<T>(shifted);
    s.total += sum_pack<T>(first_n<T>(e, n));
    if (row.d) store_n<T>(row.d + j, e, n);
    if (!row.values) return;
    const Pack<T> t = row.targets(j, n);
    s.weight += sum_pack<T>(t);
    s.inner += sum_pack<T>(first_n<T>(softmax_inner<T>(t, shifted), n));
  });
  if (!row.values) s.inner = static_cast<double>(row.a[row.target] - top);
  return s;
}

template <class T>
double softmax_cross_entropy(const Row<T>& row) {
  const Softmax<T> s = sum_exponentials(row);
  if (row.d) {
    const T factor = static_cast<T>(s.weight / s.total);
    const T wanted = row.values ? T(0) : (row.d[row.target] * factor - T(1)) * row.scale;
    for_each_pack<T>(row.columns, [&](Index j, int n) {
      const Pack<T> share = load_n<T>(row.d + j, n) * factor;
      store_n<T>(row.d + j, (row.values ? share - row.targets(j, n) : share) * row.scale, n);
    });
    if (!row.values) row.d[row.target] = wanted;
  }
  const double log_total = static_cast<double>(log<T>(broadcast(static_cast<T>(s.total)))[0]);
  return s.weight * log_total - s.inner;
}

template <class T>
double sigmoid_cross_entropy(const Row<T>& row) {
  double cost = 0;
  for_each_pack<T>(row.columns, [&](Index j, int n) {
    const Pack<T> a = load_n<T>(row.a + j, n);
    const Pack<T> t = row.targets(j, n);
    const Pack<T> e = exp<T>(-magnitude<T>(a));
    cost += sum_pack<T>(first_n<T>(sigmoid_cost<T>(a, t, e), n));
    if (row.d) store_n<T>(row.d + j, sigmoid_slope<T>(a, t, e) * row.scale, n);
  });
  return cost;
}

template <class T>
double squares(const Row<T>& row, double cost_factor, T gradient_factor) {
  double cost = 0;
  for (Index j = 0; j < row.columns; ++j) {
    const T difference = row.a[j] - row.target_at(j);
    cost += static_cast<double>(difference) * static_cast<double>(difference);
    if (row.d) row.d[j] = difference * gradient_factor;
  }
  return cost * cost_factor;
}

template <class T>
double cost_of(LossKind kind, const Row<T>& row) {
  switch (kind) {
    case LossKind::softmax_cross_entropy:
      return softmax_cross_entropy(row);
    case LossKind::sigmoid_cross_entropy:
      return sigmoid_cross_entropy(row);
    case LossKind::quadratic:
      return squares<T>(row, 0.5, row.scale);
    case LossKind::mean_squared_error:
      break;
  }
  const double inverse = 1.0 / static_cast<double>(row.columns);
  return squares<T>(row, inverse, static_cast<T>(2 * inverse * static_cast<double>(row.scale)));
}

template <class T>
bool is_correct(const Row<T>& row) {
  if (row.columns == 1) return row.target_at(0) > T(0.5) ? row.a[0] > 0 : row.a[0] <= 0;
  Index best = 0, wanted = row.target;
  for (Index j = 1; j < row.columns; ++j) best = row.a[j] > row.a[best] ? j : best;
  if (row.values) {
    wanted = 0;
    for (Index j = 1; j < row.columns; ++j) wanted = row.values[j] > row.values[wanted] ? j : wanted;
  }
  return best == wanted && row.a[best] == row.a[best];
}

// Rows are shared out in groups.
constexpr Index group_rows = 64;

template <class T>
Index evaluate(Context context, LossKind kind, Matrix<const T> outputs, Targets<T> targets, Index batch, Matrix<T> d,
               double* costs) {
  const T scale = static_cast<T>(1.0 / static_cast<double>(batch));
  const Index groups = (outputs.rows + group_rows - 1) / group_rows;
  Index correct = 0;
  parallel_for(context, groups, outputs.rows * outputs.columns * 16, [&](Index group) {
    const Index begin = group * group_rows;
    const Index end = begin + group_rows < outputs.rows ? begin + group_rows : outputs.rows;
    Index found = 0;
    for (Index i = begin; i < end; ++i) {
      const Row<T> row = {outputs.data + i * outputs.stride,
                          targets.classes ? nullptr : targets.values.data + i * targets.values.stride,
                          targets.classes ? targets.classes[i] : -1,
                          outputs.columns,
                          scale,
                          d.data ? d.data + i * d.stride : nullptr};
      costs[i] = cost_of<T>(kind, row);
      found += is_correct<T>(row);
    }
    __atomic_fetch_add(&correct, found, __ATOMIC_RELAXED);
  });
  return correct;
}

}  // namespace

template <class T>
LossKernels<T> loss_kernels() {
  return {evaluate<T>};
}
template LossKernels<float> loss_kernels<float>();
template LossKernels<double> loss_kernels<double>();

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell
