#include "cuda/embedding.h"

#include "cuda/fours.h"

namespace gradwell {
namespace cuda {
namespace {

template <class T>
__device__ Index token_of(T value, Index vocabulary) {
  return value >= T(0) && value < static_cast<T>(vocabulary) ? static_cast<Index>(value) : 0;
}

// Steps of a batch, one behind another; without gaps no division is needed to find one.
template <class T>
struct Steps {
  Matrix<const T> x;
  Index units;
  bool gaps;
  __device__ Index token(Index step, Index vocabulary) const {
    return token_of(x.data[gaps ? step / x.columns * x.stride + step % x.columns : step], vocabulary);
  }
  // Where the step's units begin, in a matrix (batch, steps * units).
  __device__ Index units_at(Index step, Index stride) const {
    return gaps ? step / x.columns * stride + step % x.columns * units : step * units;
  }
};

template <class T>
struct LookUp {
  Steps<T> steps;
  Matrix<const T> weight;
  Matrix<T> y;
  bool in_fours;
  __device__ void operator()(Index step, Index block) const {
    const T* const from = weight.data + steps.token(step, weight.rows) * weight.stride;
    store_four(y.data + steps.units_at(step, y.stride), 4 * block, weight.columns, in_fours,
               load_four(from, 4 * block, weight.columns, in_fours));
  }
};

template <class T>
struct Zero {
  Matrix<T> to;
  template <class At>
  __device__ void operator()(At at) const {
    at.store(to, Values<T, At::count>{});
  }
};

constexpr int chunk = 256;             // steps that a block looks at together, one a thread
constexpr Index wanted_blocks = 1056;  // 8 on each multiprocessor of an H100

// A block makes `some` rows of dweight. It goes through all steps, chunk by chunk, puts those that used its rows in
// order of row and step, and adds them up; a thread has the same columns from beginning to end.
template <class T>
__global__ void __launch_bounds__(chunk)
    add_steps(Steps<T> steps, Index count, Matrix<const T> dy, Matrix<T> dweight, int some) {
  __shared__ int row_of[chunk], sorted[chunk], found;
  const int thread = static_cast<int>(threadIdx.x);
  for (Index first_row = static_cast<Index>(blockIdx.x) * some; first_row < dweight.rows;
       first_row += static_cast<Index>(gridDim.x) * some) {
    const Index last_row = first_row + some < dweight.rows ? first_row + some : dweight.rows;
    for (Index row = first_row; row < last_row; ++row)
      for (Index j = thread; j < steps.units; j += chunk) dweight.data[row * dweight.stride + j] = 0;
    for (Index first = 0; first < count; first += chunk) {
      const Index step = first + thread;
      const Index token = step < count ? steps.token(step, dweight.rows) : -1;
      const bool mine = token >= first_row && token < last_row;
      const int row = mine ? static_cast<int>(token - first_row) : some;
      row_of[thread] = row;
      if (thread == 0) found = 0;
      if (!__syncthreads_or(mine)) continue;
      if (mine) {
        int place = 0;
        for (int k = 0; k < chunk; ++k) place += row_of[k] < row || (row_of[k] == row && k < thread);
        sorted[place] = thread;
        atomicAdd(&found, 1);
      }
      __syncthreads();
      for (int begin = 0, end = 0; begin < found; begin = end) {
        const int used = row_of[sorted[begin]];
        while (end < found && row_of[sorted[end]] == used) ++end;
        for (Index j = thread; j < steps.units; j += chunk) {
          T& to = dweight.data[(first_row + used) * dweight.stride + j];
          T sum = to;
          GRADWELL_UNROLL_BY(4)
          for (int k = begin; k < end; ++k) sum += dy.data[steps.units_at(first + sorted[k], dy.stride) + j];
          to = sum;
        }
      }
      __syncthreads();
    }
  }
}

// Without gaps between the rows of either: those of one row all alike.
template <class T, class U>
Steps<T> steps_of(Matrix<const T> x, Index units, Matrix<U> y) {
  return {x, units, !without_gaps(x) || !without_gaps(y)};
}

}  // namespace

template <class T>
void embedding_forward(Queue& queue, Matrix<const T> x, Matrix<const T> weight, Matrix<T> y) {
  const Steps<T> steps = steps_of(x, weight.columns, y);
  const bool in_fours = rows_in_fours(weight) && at_sixteen(y.data) && (!steps.gaps || y.stride % 4 == 0);
  for_each_element("embedding_forward", queue, x.rows * x.columns, ceiling(weight.columns, 4),
                   LookUp<T>{steps, weight, y, in_fours});
}

template <class T>
void embedding_backward(Queue& queue, Matrix<const T> x, Matrix<const T> dy, Matrix<T> dweight) {
  const Index some = ceiling(dweight.rows, wanted_blocks);
  if (dweight.rows <= 0) return;
  launch("embedding_backward", queue, {ceiling(dweight.rows, some), chunk}, add_steps<T>,
         steps_of(x, dweight.columns, dy), x.rows * x.columns, dy, dweight, static_cast<int>(some));
}

template <class T>
void embedding_backward_input(Queue& queue, Matrix<T> dx) {
  for_each_four("embedding_backward_input", queue, dx.rows, dx.columns, Zero<T>{dx}, dx);
}

#define GRADWELL_INSTANTIATE(T)                                                          \
  template void embedding_forward(Queue&, Matrix<const T>, Matrix<const T>, Matrix<T>);  \
  template void embedding_backward(Queue&, Matrix<const T>, Matrix<const T>, Matrix<T>); \
  template void embedding_backward_input(Queue&, Matrix<T>);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell
