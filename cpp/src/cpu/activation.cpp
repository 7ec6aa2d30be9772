#include "gradwell/activation.h"

#include "cpu/level.h"
#include "cpu/parallel.h"
#include "elementwise/activation_functors.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

constexpr Index element_weight = 8;  // about 8 multiply-adds an element

template <class T>
bool contiguous(Matrix<T> m) {
  return m.stride == m.columns || m.rows <= 1;
}

// Calls body(offset_a, offset_b, offset_c, n): runs of elements that lie together in all three matrices.
template <class A, class B, class C, class Body>
GRADWELL_INLINE void for_each_run(Context context, Matrix<A> a, Matrix<B> b, Matrix<C> c, Body&& body) {
  if (contiguous(a) && contiguous(b) && contiguous(c)) {
    for_each_chunk(context, a.rows * a.columns, element_weight,
                   [&](Index begin, Index end) { body(begin, begin, begin, end - begin); });
    return;
  }
  parallel_for(context, a.rows, a.rows * a.columns * element_weight,
               [&](Index row) { body(row * a.stride, row * b.stride, row * c.stride, a.columns); });
}

template <class T>
void forward(Context context, Activation activation, Matrix<const T> x, Matrix<T> y) {
  with_functor<T>(activation, [&](auto f) {
    for_each_run(context, x, y, y, [&](Index xi, Index yi, Index, Index count) {
      for_each_pack<T>(count,
                       [&](Index i, int n) { store_n<T>(y.data + yi + i, f.value(load_n<T>(x.data + xi + i, n)), n); });
    });
  });
}

template <class T>
void derivative(Context context, Activation activation, Matrix<const T> x, Matrix<T> d) {
  with_functor<T>(activation, [&](auto f) {
    for_each_run(context, x, d, d, [&](Index xi, Index di, Index, Index count) {
      for_each_pack<T>(
          count, [&](Index i, int n) { store_n<T>(d.data + di + i, f.derivative(load_n<T>(x.data + xi + i, n)), n); });
    });
  });
}

template <class T>
void backward(Context context, Activation activation, Saved which, Matrix<const T> dy, Matrix<const T> saved,
              Matrix<T> dx) {
  const bool output = which == Saved::output;
  with_functor<T>(activation, [&](auto f) {
    for_each_run(context, dy, saved, dx, [&](Index dyi, Index si, Index dxi, Index count) {
      for_each_pack<T>(count, [&](Index i, int n) {
        const Pack<T> slope = derivative_of<T>(f, load_n<T>(saved.data + si + i, n), output, 0);
        store_n<T>(dx.data + dxi + i, load_n<T>(dy.data + dyi + i, n) * slope, n);
      });
    });
  });
}

template <class T>
void prelu_forward(Context context, Matrix<const T> x, const T* slope, Matrix<T> y) {
  parallel_for(context, x.rows, x.rows * x.columns, [&](Index row) {
    const T* from = x.data + row * x.stride;
    T* to = y.data + row * y.stride;
    for_each_pack<T>(x.columns, [&](Index i, int n) {
      const Pack<T> v = load_n<T>(from + i, n);
      store_n<T>(to + i, v > T(0) ? v : v * load_n<T>(slope + i, n), n);
    });
  });
}

template <class T>
void prelu_backward(Context context, Matrix<const T> dy, Matrix<const T> x, const T* slope, Matrix<T> dx, T* dslope) {
  constexpr Index block = 256;  // columns a task
  parallel_for(context, (x.columns + block - 1) / block, x.rows * x.columns, [&](Index task) {
    const Index first = task * block;
    const Index last = first + block < x.columns ? first + block : x.columns;
    double sums[block] = {};
    for (Index row = 0; row < x.rows; ++row) {
      const T* g = dy.data + row * dy.stride;
      const T* v = x.data + row * x.stride;
      T* to = dx.data + row * dx.stride;
      for (Index j = first; j < last; ++j) {
        const T upstream = g[j], value = v[j];
        to[j] = value > 0 ? upstream : upstream * slope[j];
        sums[j - first] += value > 0 ? 0.0 : static_cast<double>(upstream) * static_cast<double>(value);
      }
    }
    for (Index j = first; j < last; ++j) dslope[j] = static_cast<T>(sums[j - first]);
  });
}

template <class T>
Index saturation(Context, Derivative<T> of, typename SameSize<T>::Integer* alive) {
  const bool output = of.which == Saved::output;
  const Matrix<const T>& saved = of.saved;
  Index count = 0;
  with_functor<T>(of.activation, [&](auto f) {
    const T threshold = T(0.01) * f.steepest();
    for_each_pack<T>(saved.columns, [&](Index j, int n) {
      Bits<T> flat_count = {}, steep = {};
      for (Index row = 0; row < saved.rows; ++row) {
        const Pack<T> v = load_n<T>(saved.data + row * saved.stride + j, n);
        const Bits<T> flat = magnitude<T>(derivative_of<T>(f, v, output, 0)) < threshold;
        flat_count -= flat;
        steep |= ~flat;
      }
      for (int i = 0; i < n; ++i) {
        count += static_cast<Index>(flat_count[i]);
        alive[j + i] |= steep[i];
      }
    });
  });
  return count;
}

}  // namespace

template <class T>
ActivationKernels<T> activation_kernels() {
  return {forward<T>, derivative<T>, backward<T>, prelu_forward<T>, prelu_backward<T>, saturation<T>};
}
template ActivationKernels<float> activation_kernels<float>();
template ActivationKernels<double> activation_kernels<double>();

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell
