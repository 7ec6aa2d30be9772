#include "gradwell/residual.h"

#include "cpu/columns.h"
#include "cpu/level.h"
#include "cpu/parallel.h"
#include "elementwise/activation_functors.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

constexpr Index element_weight = 4;

template <class T>
void forward(Context context, Matrix<const T> skip, Matrix<const T> branch, T scale, Activation activation, Matrix<T> z,
             Matrix<T> y) {
  with_functor<T>(activation, [&](auto f) {
    parallel_for(context, y.rows, y.rows * y.columns * element_weight, [&](Index row) {
      for_each_pack<T>(y.columns, [&](Index i, int n) {
        const Pack<T> sum = fma(broadcast(scale), load_n<T>(branch.data + row * branch.stride + i, n),
                                load_n<T>(skip.data + row * skip.stride + i, n));
        if (z.data) store_n<T>(z.data + row * z.stride + i, sum, n);
        store_n<T>(y.data + row * y.stride + i, f.value(sum), n);
      });
    });
  });
}

template <class T>
void scaled(Context context, Matrix<const T> x, T scale, Matrix<T> y) {
  parallel_for(context, x.rows, x.rows * x.columns * element_weight, [&](Index row) {
    for_each_pack<T>(x.columns, [&](Index i, int n) {
      store_n<T>(y.data + row * y.stride + i, load_n<T>(x.data + row * x.stride + i, n) * scale, n);
    });
  });
}

template <class T>
void add(Context context, Matrix<const T> x, Matrix<T> y) {
  parallel_for(context, x.rows, x.rows * x.columns * element_weight, [&](Index row) {
    for_each_pack<T>(x.columns, [&](Index i, int n) {
      T* const to = y.data + row * y.stride + i;
      store_n<T>(to, load_n<T>(to, n) + load_n<T>(x.data + row * x.stride + i, n), n);
    });
  });
}

template <class T>
double dot(Context, Matrix<const T> x, Matrix<const T> y) {
  double sum = 0;
  for (Index row = 0; row < x.rows; ++row) {
    const T* const a = x.data + row * x.stride;
    const T* const b = y.data + row * y.stride;
    alignas(64) double sums[lanes<T>] = {};
    for_each_pack<T>(x.columns, [&](Index i, int n) { add_wide<T>(sums, load_n<T>(a + i, n) * load_n<T>(b + i, n)); });
    for (int k = 0; k < lanes<T>; ++k) sum += sums[k];
  }
  return sum;
}

}  // namespace

template <class T>
ResidualKernels<T> residual_kernels() {
  return {forward<T>, scaled<T>, add<T>, dot<T>};
}
template ResidualKernels<float> residual_kernels<float>();
template ResidualKernels<double> residual_kernels<double>();

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell
