#include "gradwell/dense.h"

#include "cpu/gemm.h"
#include "cpu/level.h"
#include "elementwise/activation_functors.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

constexpr auto nothing_more = [](Index, int, Index, int) {};

template <class T>
Matrix<T> part_of(Matrix<T> m, Index row, int rows, Index column, int columns) {
  return {m.data + row * m.stride + column, rows, columns, m.stride};
}

// y = f(z) on one tile, still in the first-level cache.
template <class T>
void activate(Activation activation, Matrix<T> z, Matrix<T> y) {
  with_functor<T>(activation, [&](auto f) {
    for (Index i = 0; i < y.rows; ++i)
      for_each_pack<T>(y.columns, [&](Index j, int n) {
        store_n<T>(y.data + i * y.stride + j, f.value(load_n<T>(z.data + i * z.stride + j, n)), n);
      });
  });
}

// dx = dx f' on one tile.
template <class T>
void differentiate(Activation activation, bool output, Matrix<const T> saved, Matrix<T> dx) {
  with_functor<T>(activation, [&](auto f) {
    for (Index i = 0; i < dx.rows; ++i)
      for_each_pack<T>(dx.columns, [&](Index j, int n) {
        T* to = dx.data + i * dx.stride + j;
        const Pack<T> slope = derivative_of<T>(f, load_n<T>(saved.data + i * saved.stride + j, n), output, 0);
        store_n<T>(to, load_n<T>(to, n) * slope, n);
      });
  });
}

template <class T>
void forward(Context context, Matrix<const T> x, Matrix<const T> weight, const T* bias, Activation activation,
             Matrix<T> z, Matrix<T> y) {
  const Matrix<T> sum = z.data ? z : y;
  const bool plain = activation.kind == ActivationKind::identity && !z.data;
  gemm<T, Product::store>(
      context, y.rows, y.columns, x.columns, {x.data, x.stride, 1}, {weight.data, weight.stride, false}, bias,
      {sum.data, sum.stride, {}}, [&](Index row, int rows, Index column, int columns) {
        if (plain) return;
        activate<T>(activation, part_of(sum, row, rows, column, columns), part_of(y, row, rows, column, columns));
      });
}

template <class T>
void backward_input(Context context, Matrix<const T> delta, Matrix<const T> weight, Derivative<T> below, Matrix<T> dx) {
  const bool plain = !below.saved.data || below.activation.kind == ActivationKind::identity;
  gemm<T, Product::store>(
      context, dx.rows, dx.columns, delta.columns, {delta.data, delta.stride, 1}, {weight.data, weight.stride, true},
      nullptr, {dx.data, dx.stride, {}}, [&](Index row, int rows, Index column, int columns) {
        if (plain) return;
        differentiate<T>(below.activation, below.which == Saved::output,
                         part_of(below.saved, row, rows, column, columns), part_of(dx, row, rows, column, columns));
      });
}

template <class T>
void backward_weight(Context context, Matrix<const T> x, Matrix<const T> delta, Matrix<T> dweight) {
  gemm<T, Product::store>(context, dweight.rows, dweight.columns, x.rows, {x.data, 1, x.stride},
                          {delta.data, delta.stride, false}, nullptr, {dweight.data, dweight.stride, {}}, nothing_more);
}

template <class T>
void update_weight(Context context, Matrix<const T> x, Matrix<const T> delta, Sgd sgd, Matrix<T> weight) {
  gemm<T, Product::update>(context, weight.rows, weight.columns, x.rows, {x.data, 1, x.stride},
                           {delta.data, delta.stride, false}, nullptr, {weight.data, weight.stride, rule_of<T>(sgd)},
                           nothing_more);
}

template <class T>
void backward_bias(Context context, Matrix<const T> delta, T* dbias) {
  constexpr Index block = 64;  // columns a task
  parallel_for(context, (delta.columns + block - 1) / block, delta.rows * delta.columns, [&](Index task) {
    const Index first = task * block;
    const int columns = static_cast<int>(delta.columns - first < block ? delta.columns - first : block);
    double sums[block] = {};
    for (Index row = 0; row < delta.rows; ++row) {
      const T* from = delta.data + row * delta.stride + first;
#pragma omp simd
      for (int j = 0; j < columns; ++j) sums[j] += static_cast<double>(from[j]);
    }
    for (int j = 0; j < columns; ++j) dbias[first + j] = static_cast<T>(sums[j]);
  });
}

}  // namespace

template <class T>
DenseKernels<T> dense_kernels() {
  return {forward<T>, backward_input<T>, backward_weight<T>, update_weight<T>, backward_bias<T>};
}
template DenseKernels<float> dense_kernels<float>();
template DenseKernels<double> dense_kernels<double>();

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell
