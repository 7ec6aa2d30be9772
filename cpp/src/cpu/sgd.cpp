#include "gradwell/sgd.h"

#include "cpu/level.h"
#include "cpu/parallel.h"
#include "cpu/sgd_rule.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

template <class T>
void update(Context context, Sgd sgd, T* parameter, const T* gradient, Index count) {
  const SgdRule<T> rule = rule_of<T>(sgd);
  for_each_chunk(context, count, 1, [&](Index begin, Index end) {
    for_each_pack<T>(end - begin, [&](Index i, int n) {
      T* p = parameter + begin + i;
      store_n<T>(p, rule(load_n<T>(p, n), load_n<T>(gradient + begin + i, n)), n);
    });
  });
}

Pack<double> widened(Pack<double> x) {
  return x;
}
Pack<double> widened(Pack<float> x) {
  float lane[lanes<float>];
  store(lane, x);
  return load_wide(lane, 0) + load_wide(lane, 1);
}

// The sum of squares, four vectors at a time in T and on from there in double; all in double where squares in T come
// near the ends of its range.
template <class T>
double sum_of_squares(const T* x, Index count) {
  constexpr Index group = 4 * lanes<T>;
  Pack<double> sums = {};
  Index i = 0;
  for (; i + group <= count; i += group) {
    Pack<T> squares = load(x + i) * load(x + i);
#pragma GCC unroll 3
    for (int v = 1; v < 4; ++v) squares = fma(load(x + i + v * lanes<T>), load(x + i + v * lanes<T>), squares);
    sums += widened(squares);
  }
  double sum = 0;
  for (int k = 0; k < lanes<double>; ++k) sum += sums[k];
  const bool close = sizeof(T) == 4 && i > 0 && !(sum > 1e-26 && sum < 1e37);
  if (close) sum = 0;
  for (Index k = close ? 0 : i; k < count; ++k) sum += static_cast<double>(x[k]) * static_cast<double>(x[k]);
  return sum;
}

// On one thread, piece by piece in order: the step of a piece is kept on the stack between its two uses.
template <class T>
StepNorms update_recorded(Context, Sgd sgd, T* parameter, const T* gradient, Index count) {
  constexpr Index piece = 2048;
  const SgdRule<T> rule = rule_of<T>(sgd);
  StepNorms norms = {0, 0};
  alignas(64) T step[piece];
  for (Index begin = 0; begin < count; begin += piece) {
    const Index size = count - begin < piece ? count - begin : piece;
    T* p = parameter + begin;
    norms.parameter += sum_of_squares(p, size);
    for_each_pack<T>(size, [&](Index i, int n) {
      const Pack<T> before = load_n<T>(p + i, n);
      const Pack<T> after = rule(before, load_n<T>(gradient + begin + i, n));
      store_n<T>(step + i, after - before, n);
      store_n<T>(p + i, after, n);
    });
    norms.step += sum_of_squares(step, size);
  }
  return norms;
}

}  // namespace

template <class T>
SgdKernels<T> sgd_kernels() {
  return {update<T>, update_recorded<T>};
}
template SgdKernels<float> sgd_kernels<float>();
template SgdKernels<double> sgd_kernels<double>();

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell
