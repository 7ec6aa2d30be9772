#include "cuda/dropout.h"

#include "cuda/fours.h"
#include "cuda/level.h"
#include "elementwise/dropout_mask.h"

namespace gradwell {
namespace cuda {
namespace {

// Four columns of a row, which one counter draws for.
template <class T>
struct Drop {
  Matrix<const T> x;
  Matrix<T> mask, y;
  bool in_fours, all_stay;
  DropoutMask<T> mask_from;
  DropoutKey key;
  const RunState* state;  // or null, where the key is whole
  Index first_row;
  __device__ void operator()(Index i, Index block) const {
    const Index j = 4 * block;
    Four<T> values = load_four(x.data + i * x.stride, j, x.columns, in_fours), m;
    if (all_stay) {
      for (T& one : m.value) one = 1;
    } else {
      const std::uint64_t seed = state ? state->seed : key.seed;
      const std::uint64_t step = state ? static_cast<std::uint64_t>(state->first_step + state->step) : key.step;
      const Random4 random = random_words(seed, step, key.layer, static_cast<std::uint32_t>(block),
                                          static_cast<std::uint32_t>(first_row + i));
      for (int k = 0; k < 4; ++k) m.value[k] = mask_from(random.word[k]);
    }
    for (int k = 0; k < 4; ++k) values.value[k] *= m.value[k];
    store_four(mask.data + i * mask.stride, j, x.columns, in_fours, m);
    store_four(y.data + i * y.stride, j, x.columns, in_fours, values);
  }
};

template <class T>
void drop(Queue& queue, Matrix<const T> x, double rate, DropoutKey key, const RunState* state, Index first_row,
          Matrix<T> mask, Matrix<T> y) {
  const bool in_fours = rows_in_fours(x) && rows_in_fours(mask) && rows_in_fours(y);
  const Drop<T> body = {x, mask, y, in_fours, rate == 0, mask_of<T>(rate), key, state, first_row};
  for_each_element("dropout_forward", queue, x.rows, ceiling(x.columns, 4), body);
}

template <class T>
struct Multiply {
  Matrix<const T> a, b;
  Matrix<T> y;
  template <class At>
  __device__ void operator()(At at) const {
    auto values = at.load(a);
    const auto factors = at.load(b);
    for (int k = 0; k < At::count; ++k) values.value[k] *= factors.value[k];
    at.store(y, values);
  }
};

}  // namespace

template <class T>
void dropout_forward(Queue& queue, Matrix<const T> x, double rate, DropoutKey key, Index first_row, Matrix<T> mask,
                     Matrix<T> y) {
  drop(queue, x, rate, key, nullptr, first_row, mask, y);
}

template <class T>
void dropout_forward(Queue& queue, Matrix<const T> x, double rate, const RunState* state, std::uint32_t layer,
                     Matrix<T> mask, Matrix<T> y) {
  drop(queue, x, rate, {0, 0, layer}, state, 0, mask, y);
}

template <class T>
void dropout_multiply(Queue& queue, Matrix<const T> a, Matrix<const T> b, Matrix<T> y) {
  for_each_four("dropout_multiply", queue, a.rows, a.columns, Multiply<T>{a, b, y}, a, b, y);
}

namespace {

template <class T>
void forward(Context, Matrix<const T> x, double rate, DropoutKey key, Index first_row, Matrix<T> mask, Matrix<T> y) {
  Staging host;
  dropout_forward(host.queue(), host.in(x), rate, key, first_row, host.out(mask), host.out(y));
  host.finish();
}

template <class T>
void multiply(Context, Matrix<const T> a, Matrix<const T> b, Matrix<T> y) {
  Staging host;
  dropout_multiply(host.queue(), host.in(a), host.in(b), host.out(y));
  host.finish();
}

}  // namespace

template <class T>
DropoutKernels<T> dropout_kernels() {
  return {forward<T>, multiply<T>};
}

#define GRADWELL_INSTANTIATE(T)                                                                             \
  template void dropout_forward(Queue&, Matrix<const T>, double, DropoutKey, Index, Matrix<T>, Matrix<T>);  \
  template void dropout_forward(Queue&, Matrix<const T>, double, const RunState*, std::uint32_t, Matrix<T>, \
                                Matrix<T>);                                                                 \
  template void dropout_multiply(Queue&, Matrix<const T>, Matrix<const T>, Matrix<T>);                      \
  template DropoutKernels<T> dropout_kernels<T>();
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell
