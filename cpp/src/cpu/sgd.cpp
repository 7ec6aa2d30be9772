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

template <class T>
double sum_of_squares(const T* x, Index count) {
  double sums[8] = {};
  Index i = 0;
  for (; i + 8 <= count; i += 8)
#pragma omp simd
    for (int k = 0; k < 8; ++k) sums[k] += static_cast<double>(x[i + k]) * static_cast<double>(x[i + k]);
  for (int k = 0; i < count; ++i, ++k) sums[k] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  double sum = 0;
  for (double part : sums) sum += part;
  return sum;
}

// On one thread, chunk by chunk in order: the step of a chunk is kept on the stack between its two uses.
template <class T>
StepNorms update_recorded(Context, Sgd sgd, T* parameter, const T* gradient, Index count) {
  const SgdRule<T> rule = rule_of<T>(sgd);
  StepNorms norms = {0, 0};
  alignas(64) T step[chunk_size];
  for (Index begin = 0; begin < count; begin += chunk_size) {
    const Index size = count - begin < chunk_size ? count - begin : chunk_size;
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
