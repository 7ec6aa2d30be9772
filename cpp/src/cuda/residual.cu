#include "cuda/residual.h"

#include "cuda/fours.h"
#include "cuda/level.h"
#include "elementwise/activation_functors.h"

namespace gradwell {
namespace cuda {
namespace {

template <class T>
__device__ T value_of(Scale<T> scale) {
  return scale.learned ? *scale.learned : scale.fixed;
}

template <class T, class F>
struct Join {
  F f;
  Matrix<const T> skip, branch;
  Scale<T> scale;
  Matrix<T> z, y;
  template <class At>
  __device__ void operator()(At at) const {
    const T s = value_of(scale);
    auto sums = at.load(branch), values = at.load(skip);
    for (int k = 0; k < At::count; ++k) {
      sums.value[k] = fma(s, sums.value[k], values.value[k]);
      values.value[k] = f.value(sums.value[k]);
    }
    if (z.data) at.store(z, sums);
    at.store(y, values);
  }
};

template <class T>
struct Times {
  Matrix<const T> x;
  Scale<T> scale;
  Matrix<T> y;
  template <class At>
  __device__ void operator()(At at) const {
    const T s = value_of(scale);
    auto values = at.load(x);
    for (int k = 0; k < At::count; ++k) values.value[k] *= s;
    at.store(y, values);
  }
};

template <class T>
struct Add {
  Matrix<const T> x, before;
  Matrix<T> y;
  template <class At>
  __device__ void operator()(At at) const {
    const auto more = at.load(x);
    auto values = at.load(before);
    for (int k = 0; k < At::count; ++k) values.value[k] += more.value[k];
    at.store(y, values);
  }
};

constexpr Index dot_elements = 4096;  // of a block, where there are not too many
constexpr Index most_dot_blocks = 1024;
constexpr int dot_threads = 256;

Index dot_blocks(Index elements) {
  const Index blocks = ceiling(elements, dot_elements);
  return blocks < 1 ? 1 : (blocks < most_dot_blocks ? blocks : most_dot_blocks);
}

// Products in T, as on the CPU.
template <class T>
__device__ double product_of(const Four<T>& a, const Four<T>& b) {
  double sum = 0;
  for (int k = 0; k < 4; ++k) sum += static_cast<double>(a.value[k] * b.value[k]);
  return sum;
}

// Elements first ... first + 3 of all of a matrix, one row behind another; zeros beyond the end.
template <class T>
__device__ Four<T> four_of(Matrix<const T> m, Index first, bool gaps, bool in_fours) {
  if (!gaps) return load_four(m.data, first, m.rows * m.columns, in_fours && first + 4 <= m.rows * m.columns);
  Four<T> four;
  for (int k = 0; k < 4; ++k) {
    const Index i = (first + k) / m.columns, j = (first + k) % m.columns;
    four.value[k] = i < m.rows ? m.data[i * m.stride + j] : T(0);
  }
  return four;
}

// Left in sums[block], or where there is but one block, as the result. How the matrices lie does not change the order.
template <class T>
__global__ void dot_parts(Matrix<const T> x, Matrix<const T> y, bool gaps, bool in_fours, double* sums, T* rounded) {
  __shared__ double scratch[32];
  const Index step = 4 * static_cast<Index>(gridDim.x) * blockDim.x, count = x.rows * x.columns;
  double sum = 0;
  GRADWELL_UNROLL_BY(2)
  for (Index k = 4 * (static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x); k < count; k += step)
    sum += product_of(four_of(x, k, gaps, in_fours), four_of(y, k, gaps, in_fours));
  sum = join_block(sum, Plus{}, 0.0, scratch);
  if (threadIdx.x > 0) return;
  sums[blockIdx.x] = sum;
  if (rounded && gridDim.x == 1) *rounded = static_cast<T>(sum);
}

template <class T>
__global__ void dot_total(double* sums, int count, T* rounded) {
  __shared__ double scratch[32];
  double sum = 0;
  for (int k = static_cast<int>(threadIdx.x); k < count; k += dot_threads) sum += sums[k];
  sum = join_block(sum, Plus{}, 0.0, scratch);
  if (threadIdx.x > 0) return;
  sums[0] = sum;
  if (rounded) *rounded = static_cast<T>(sum);
}

}  // namespace

template <class T>
void residual_forward(Queue& queue, Matrix<const T> skip, Matrix<const T> branch, Scale<T> scale, Activation activation,
                      Matrix<T> z, Matrix<T> y) {
  with_functor<T>(activation, [&](auto f) {
    const Join<T, decltype(f)> body = {f, skip, branch, scale, z, y};
    for_each_four("residual_forward", queue, y.rows, y.columns, body, skip, branch, z, y);
  });
}

template <class T>
void residual_scaled(Queue& queue, Matrix<const T> x, Scale<T> scale, Matrix<T> y) {
  for_each_four("residual_scaled", queue, x.rows, x.columns, Times<T>{x, scale, y}, x, y);
}

template <class T>
void residual_add(Queue& queue, Matrix<const T> x, Matrix<T> y) {
  for_each_four("residual_add", queue, x.rows, x.columns, Add<T>{x, as_read(y), y}, x, y);
}

template <class T>
void residual_dot(Queue& queue, Matrix<const T> x, Matrix<const T> y, double* sums, T* rounded) {
  const bool gaps = !without_gaps(x) || !without_gaps(y), in_fours = at_sixteen(x.data) && at_sixteen(y.data);
  const Index blocks = dot_blocks(x.rows * x.columns);
  launch("residual_dot", queue, {blocks, dot_threads}, dot_parts<T>, x, y, gaps, in_fours, sums, rounded);
  if (blocks > 1)
    launch("residual_dot", queue, {1, dot_threads}, dot_total<T>, sums, static_cast<int>(blocks), rounded);
}

Index dot_scratch(Index elements) {
  return dot_blocks(elements);
}

namespace {

template <class T>
void forward(Context, Matrix<const T> skip, Matrix<const T> branch, T scale, Activation activation, Matrix<T> z,
             Matrix<T> y) {
  Staging host;
  residual_forward(host.queue(), host.in(skip), host.in(branch), {scale, nullptr}, activation, host.out(z),
                   host.out(y));
  host.finish();
}

template <class T>
void scaled(Context, Matrix<const T> x, T scale, Matrix<T> y) {
  Staging host;
  residual_scaled(host.queue(), host.in(x), {scale, nullptr}, host.out(y));
  host.finish();
}

template <class T>
void add(Context, Matrix<const T> x, Matrix<T> y) {
  Staging host;
  residual_add(host.queue(), host.in(x), host.out(y));
  host.finish();
}

template <class T>
double dot(Context, Matrix<const T> x, Matrix<const T> y) {
  Staging host;
  double sum = 0;
  double* const sums = host.scratch<double>(dot_scratch(x.rows * x.columns));
  residual_dot<T>(host.queue(), host.in(x), host.in(y), sums);
  copy(host.queue(), &sum, static_cast<const double*>(sums), 1);
  host.finish();
  return sum;
}

}  // namespace

template <class T>
ResidualKernels<T> residual_kernels() {
  return {forward<T>, scaled<T>, add<T>, dot<T>};
}

#define GRADWELL_INSTANTIATE(T)                                                                             \
  template void residual_forward(Queue&, Matrix<const T>, Matrix<const T>, Scale<T>, Activation, Matrix<T>, \
                                 Matrix<T>);                                                                \
  template void residual_scaled(Queue&, Matrix<const T>, Scale<T>, Matrix<T>);                              \
  template void residual_add(Queue&, Matrix<const T>, Matrix<T>);                                           \
  template void residual_dot(Queue&, Matrix<const T>, Matrix<const T>, double*, T*);                        \
  template ResidualKernels<T> residual_kernels<T>();
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell
