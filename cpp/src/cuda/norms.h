// Norms that are found by the threads of one block together. Private to cpp/src/cuda.
#pragma once

#include "cuda/lane.h"
#include "cuda/launch.h"

namespace gradwell {
namespace cuda {

constexpr double no_limit = __builtin_inf();

__device__ inline bool is_finite(double x) {
  return x - x == 0;
}

// NaN where either is.
struct Largest {
  __device__ double operator()(double a, double b) const { return a != a ? a : (b != b || b > a ? b : a); }
};

// sqrt(sum of value(i)^2) of numbers from 0 on, by all threads of a block: NaN where one is NaN, else infinite where
// one is; no square leaves the range of double. `scratch` as in join_block.
template <class Value>
__device__ double norm_of_block(Index count, double* scratch, Value&& value) {
  double most = 0;
  for (Index i = threadIdx.x; i < count; i += blockDim.x) most = Largest{}(most, value(i));
  most = join_block(most, Largest{}, 0.0, scratch);
  if (most == 0 || !is_finite(most)) return most;
  double sum = 0;
  for (Index i = threadIdx.x; i < count; i += blockDim.x) {
    const double part = value(i) / most;
    sum = fma(part, part, sum);
  }
  return most * root(join_block(sum, Plus{}, 0.0, scratch));
}

}  // namespace cuda
}  // namespace gradwell
