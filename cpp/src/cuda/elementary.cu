#include "gradwell/elementary.h"

#include "cuda/fours.h"
#include "cuda/level.h"
#include "elementwise/math.h"

namespace gradwell {
namespace cuda {
namespace {

struct Exp {
  template <class T>
  __device__ T operator()(T x) const {
    return exp<T>(x);
  }
};
struct Log {
  template <class T>
  __device__ T operator()(T x) const {
    return log<T>(x);
  }
};
struct Tanh {
  template <class T>
  __device__ T operator()(T x) const {
    return tanh<T>(x);
  }
};
struct Sigmoid {
  template <class T>
  __device__ T operator()(T x) const {
    return sigmoid<T>(x);
  }
};

template <class T, class F>
struct Map {
  F f;
  Matrix<const T> x;
  Matrix<T> y;
  template <class At>
  __device__ void operator()(At at) const {
    auto values = at.load(x);
    for (int k = 0; k < At::count; ++k) values.value[k] = f(values.value[k]);
    at.store(y, values);
  }
};

template <class T, class F>
void map(Context, const T* x, T* y, Index count) {
  Staging host;
  const Matrix<const T> from = {host.in(x, count), 1, count, count};
  const Matrix<T> to = {host.out(y, count), 1, count, count};
  for_each_four("elementary", host.queue(), 1, count, Map<T, F>{{}, from, to}, from, to);
  host.finish();
}

}  // namespace

template <class T>
ElementaryKernels<T> elementary_kernels() {
  return {map<T, Exp>, map<T, Log>, map<T, Tanh>, map<T, Sigmoid>};
}
template ElementaryKernels<float> elementary_kernels<float>();
template ElementaryKernels<double> elementary_kernels<double>();

}  // namespace cuda
}  // namespace gradwell
