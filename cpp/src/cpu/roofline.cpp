#include "gradwell/roofline.h"

#include "cpu/level.h"
#include "cpu/simd.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

// As many sums as hide the latency of a multiply-add and leave registers over.
constexpr int sums = 12;

template <class T>
Index multiply_adds(Index count) {
  const Pack<T> factor = broadcast(T(0.999999)), term = broadcast(T(1e-6));
  Pack<T> sum[sums];
  for (int k = 0; k < sums; ++k) sum[k] = broadcast(static_cast<T>(k));
  const Index rounds = count / (sums * lanes<T>)+1;
  for (Index i = 0; i < rounds; ++i)
#pragma GCC unroll 12
    for (int k = 0; k < sums; ++k) sum[k] = fma(sum[k], factor, term);
  for (int k = 1; k < sums; ++k) sum[0] += sum[k];
  T kept[lanes<T>];
  store(kept, sum[0]);
  __asm__ volatile("" : : "r"(kept) : "memory");  // the sums are used
  return rounds * sums * lanes<T>;
}

template <class T>
T read(const T* x, Index count) {
  Pack<T> sum[4] = {};
  Index i = 0;
  for (; i + 4 * lanes<T> <= count; i += 4 * lanes<T>)
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) sum[k] += load(x + i + k * lanes<T>);
  T all = 0;
  for (; i < count; ++i) all += x[i];
  const Pack<T> lanes_sum = sum[0] + sum[1] + sum[2] + sum[3];
  for (int k = 0; k < lanes<T>; ++k) all += lanes_sum[k];
  return all;
}

}  // namespace

template <class T>
RooflineKernels<T> roofline_kernels() {
  return {multiply_adds<T>, read<T>};
}
template RooflineKernels<float> roofline_kernels<float>();
template RooflineKernels<double> roofline_kernels<double>();

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell
