#include "cuda/dense.h"

#include "cuda/activation.h"
#include "cuda/level.h"
#include "elementwise/sgd_rule.h"

namespace gradwell {
namespace cuda {
namespace {

constexpr int column_warps = 8;

// A warp takes 32 columns; the block's warps share the rows, and their sums, in double, are added in order.
template <class T>
__global__ void sum_columns(Matrix<const T> x, T* sums) {
  __shared__ double parts[column_warps][32];
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const Index j = static_cast<Index>(blockIdx.x) * 32 + lane;
  double sum = 0;
  if (j < x.columns)
    for (Index i = warp; i < x.rows; i += column_warps) sum += static_cast<double>(x.data[i * x.stride + j]);
  parts[warp][lane] = sum;
  __syncthreads();
  if (warp > 0 || j >= x.columns) return;
  for (int w = 1; w < column_warps; ++w) sum += parts[w][lane];
  sums[j] = static_cast<T>(sum);
}

template <class T>
struct Step {
  SgdRule<T> rule;
  Matrix<const T> gradient;
  Matrix<T> weight;
  __device__ void operator()(Index i, Index j) const {
    T& w = weight.data[i * weight.stride + j];
    w = rule(w, gradient.data[i * gradient.stride + j]);
  }
};

}  // namespace

template <class T>
void dense_forward(Queue& queue, Matrix<const T> x, Matrix<const T> weight, const T* bias, Activation activation,
                   Matrix<T> z, Matrix<T> y) {
  const Matrix<T> first = z.data ? z : y;
  queue.products().multiply(queue, Factors{}, x, weight, bias, first);
  if (activation.kind != ActivationKind::identity || first.data != y.data)
    activation_forward(queue, activation, Matrix<const T>{first.data, first.rows, first.columns, first.stride}, y);
}

template <class T>
void dense_backward_input(Queue& queue, Matrix<const T> delta, Matrix<const T> weight, Derivative<T> below,
                          Matrix<T> dx) {
  Factors factors;
  factors.right_transposed = true;
  multiply(queue, factors, delta, weight, dx);
  if (below.saved.data)
    activation_backward(queue, below.activation, below.which, Matrix<const T>{dx.data, dx.rows, dx.columns, dx.stride},
                        below.saved, dx);
}

template <class T>
void dense_backward_weight(Queue& queue, Matrix<const T> x, Matrix<const T> delta, Matrix<T> dweight) {
  Factors factors;
  factors.left_transposed = true;
  multiply(queue, factors, x, delta, dweight);
}

template <class T>
void dense_backward_bias(Queue& queue, Matrix<const T> delta, T* dbias) {
  launch("dense_backward_bias", queue, {ceiling(delta.columns, 32), 32 * column_warps}, sum_columns<T>, delta, dbias);
}

namespace {

template <class T>
void forward(Context, Matrix<const T> x, Matrix<const T> weight, const T* bias, Activation activation, Matrix<T> z,
             Matrix<T> y) {
  Staging host;
  dense_forward(host.queue(), host.in(x), host.in(weight), host.in(bias, y.columns), activation, host.out(z),
                host.out(y));
  host.finish();
}

template <class T>
void backward_input(Context, Matrix<const T> delta, Matrix<const T> weight, Derivative<T> below, Matrix<T> dx) {
  Staging host;
  below.saved = host.in(below.saved);
  dense_backward_input(host.queue(), host.in(delta), host.in(weight), below, host.out(dx));
  host.finish();
}

template <class T>
void backward_weight(Context, Matrix<const T> x, Matrix<const T> delta, Matrix<T> dweight) {
  Staging host;
  dense_backward_weight(host.queue(), host.in(x), host.in(delta), host.out(dweight));
  host.finish();
}

template <class T>
void update_weight(Context, Matrix<const T> x, Matrix<const T> delta, Sgd sgd, Matrix<T> weight) {
  Staging host;
  const Matrix<T> gradient = {host.scratch<T>(weight.rows * weight.columns), weight.rows, weight.columns,
                              weight.columns};
  dense_backward_weight(host.queue(), host.in(x), host.in(delta), gradient);
  const Matrix<const T> made = {gradient.data, gradient.rows, gradient.columns, gradient.stride};
  for_each_element("update_weight", host.queue(), weight.rows, weight.columns,
                   Step<T>{rule_of<T>(sgd), made, host.out(weight)});
  host.finish();
}

template <class T>
void backward_bias(Context, Matrix<const T> delta, T* dbias) {
  Staging host;
  dense_backward_bias(host.queue(), host.in(delta), host.out(dbias, delta.columns));
  host.finish();
}

}  // namespace

template <class T>
DenseKernels<T> dense_kernels() {
  return {forward<T>, backward_input<T>, backward_weight<T>, update_weight<T>, backward_bias<T>};
}

#define GRADWELL_INSTANTIATE(T)                                                                                      \
  template void dense_forward(Queue&, Matrix<const T>, Matrix<const T>, const T*, Activation, Matrix<T>, Matrix<T>); \
  template void dense_backward_input(Queue&, Matrix<const T>, Matrix<const T>, Derivative<T>, Matrix<T>);            \
  template void dense_backward_weight(Queue&, Matrix<const T>, Matrix<const T>, Matrix<T>);                          \
  template void dense_backward_bias(Queue&, Matrix<const T>, T*);                                                    \
  template DenseKernels<T> dense_kernels<T>();
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell
