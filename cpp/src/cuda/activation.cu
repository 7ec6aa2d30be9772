#include "cuda/activation.h"

#include "cuda/fours.h"
#include "cuda/level.h"
#include "elementwise/activation_functors.h"

namespace gradwell {
namespace cuda {
namespace {

template <class T, class F>
struct Value {
  F f;
  Matrix<const T> x;
  Matrix<T> y;
  template <class At>
  __device__ void operator()(At at) const {
    auto values = at.load(x);
    for (int k = 0; k < At::count; ++k) values.value[k] = f.value(values.value[k]);
    at.store(y, values);
  }
};

template <class T, class F>
struct DerivativeOf {
  F f;
  Matrix<const T> x;
  Matrix<T> d;
  template <class At>
  __device__ void operator()(At at) const {
    auto values = at.load(x);
    for (int k = 0; k < At::count; ++k) values.value[k] = f.derivative(values.value[k]);
    at.store(d, values);
  }
};

template <class T, class F>
struct Back {
  F f;
  bool output;
  Matrix<const T> dy, saved;
  Matrix<T> dx;
  template <class At>
  __device__ void operator()(At at) const {
    auto values = at.load(dy);
    const auto from = at.load(saved);
    for (int k = 0; k < At::count; ++k) values.value[k] *= derivative_of<T>(f, from.value[k], output, 0);
    at.store(dx, values);
  }
};

template <class T>
struct Prelu {
  Matrix<const T> x;
  const T* slope;
  Matrix<T> y;
  __device__ void operator()(Index i, Index j) const {
    const T value = x.data[i * x.stride + j];
    y.data[i * y.stride + j] = value > T(0) ? value : value * slope[j];
  }
};

// A warp takes 32 columns, so that its threads read next to one another; the block's warps share the rows.
constexpr int prelu_warps = 8;

template <class T>
__global__ void prelu_back(Matrix<const T> dy, Matrix<const T> x, const T* slope, Matrix<T> dx, T* dslope) {
  __shared__ double sums[prelu_warps][32];
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const Index j = static_cast<Index>(blockIdx.x) * 32 + lane;
  double sum = 0;
  if (j < x.columns) {
    const T k = slope[j];
    for (Index i = warp; i < x.rows; i += prelu_warps) {
      const T value = x.data[i * x.stride + j], upstream = dy.data[i * dy.stride + j];
      dx.data[i * dx.stride + j] = value > T(0) ? upstream : (value <= T(0) ? upstream * k : value);
      sum += static_cast<double>(upstream) * static_cast<double>(value > T(0) ? T(0) : value);
    }
  }
  sums[warp][lane] = sum;
  __syncthreads();
  if (warp > 0 || j >= x.columns) return;
  for (int w = 1; w < prelu_warps; ++w) sum += sums[w][lane];
  dslope[j] = static_cast<T>(sum);
}

}  // namespace

template <class T>
void activation_forward(Queue& queue, Activation activation, Matrix<const T> x, Matrix<T> y) {
  with_functor<T>(activation, [&](auto f) {
    for_each_four("activation_forward", queue, x.rows, x.columns, Value<T, decltype(f)>{f, x, y}, x, y);
  });
}

template <class T>
void activation_derivative(Queue& queue, Activation activation, Matrix<const T> x, Matrix<T> d) {
  with_functor<T>(activation, [&](auto f) {
    for_each_four("activation_derivative", queue, x.rows, x.columns, DerivativeOf<T, decltype(f)>{f, x, d}, x, d);
  });
}

template <class T>
void activation_backward(Queue& queue, Activation activation, Saved which, Matrix<const T> dy, Matrix<const T> saved,
                         Matrix<T> dx) {
  with_functor<T>(activation, [&](auto f) {
    const Back<T, decltype(f)> body = {f, which == Saved::output, dy, saved, dx};
    for_each_four("activation_backward", queue, dy.rows, dy.columns, body, dy, saved, dx);
  });
}

template <class T>
void prelu_forward(Queue& queue, Matrix<const T> x, const T* slope, Matrix<T> y) {
  for_each_element("prelu_forward", queue, x.rows, x.columns, Prelu<T>{x, slope, y});
}

template <class T>
void prelu_backward(Queue& queue, Matrix<const T> dy, Matrix<const T> x, const T* slope, Matrix<T> dx, T* dslope) {
  launch("prelu_backward", queue, {ceiling(x.columns, 32), 32 * prelu_warps}, prelu_back<T>, dy, x, slope, dx, dslope);
}

namespace {

template <class T>
void forward(Context, Activation activation, Matrix<const T> x, Matrix<T> y) {
  Staging host;
  activation_forward(host.queue(), activation, host.in(x), host.out(y));
  host.finish();
}

template <class T>
void derivative(Context, Activation activation, Matrix<const T> x, Matrix<T> d) {
  Staging host;
  activation_derivative(host.queue(), activation, host.in(x), host.out(d));
  host.finish();
}

template <class T>
void backward(Context, Activation activation, Saved which, Matrix<const T> dy, Matrix<const T> saved, Matrix<T> dx) {
  Staging host;
  activation_backward(host.queue(), activation, which, host.in(dy), host.in(saved), host.out(dx));
  host.finish();
}

template <class T>
void prelu_forward(Context, Matrix<const T> x, const T* slope, Matrix<T> y) {
  Staging host;
  cuda::prelu_forward(host.queue(), host.in(x), host.in(slope, x.columns), host.out(y));
  host.finish();
}

template <class T>
void prelu_backward(Context, Matrix<const T> dy, Matrix<const T> x, const T* slope, Matrix<T> dx, T* dslope) {
  Staging host;
  cuda::prelu_backward(host.queue(), host.in(dy), host.in(x), host.in(slope, x.columns), host.out(dx),
                       host.out(dslope, x.columns));
  host.finish();
}

template <class T>
Index saturation(Context, Derivative<T> of, typename SameSize<T>::Integer* alive) {
  Staging host;
  unsigned long long flat = 0;
  const Index columns = of.saved.columns;
  of.saved = host.in(of.saved);
  activation_saturation(host.queue(), of, host.place(&flat), host.out(alive, columns));
  host.finish();
  return static_cast<Index>(flat);
}

}  // namespace

template <class T>
ActivationKernels<T> activation_kernels() {
  return {forward<T>, derivative<T>, backward<T>, prelu_forward<T>, prelu_backward<T>, saturation<T>};
}

#define GRADWELL_INSTANTIATE(T)                                                                              \
  template void activation_forward(Queue&, Activation, Matrix<const T>, Matrix<T>);                          \
  template void activation_derivative(Queue&, Activation, Matrix<const T>, Matrix<T>);                       \
  template void activation_backward(Queue&, Activation, Saved, Matrix<const T>, Matrix<const T>, Matrix<T>); \
  template void prelu_forward(Queue&, Matrix<const T>, const T*, Matrix<T>);                                 \
  template void prelu_backward(Queue&, Matrix<const T>, Matrix<const T>, const T*, Matrix<T>, T*);           \
  template ActivationKernels<T> activation_kernels<T>();
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell
