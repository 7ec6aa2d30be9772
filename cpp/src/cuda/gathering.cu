#include "cuda/gathering.h"

#include "cuda/fours.h"

namespace gradwell {
namespace cuda {
namespace {

template <class T>
struct GatherRows {
  Matrix<const T> from;
  const Index* order;
  const RunState* state;
  Index batch;
  Matrix<T> to;
  bool in_fours;
  __device__ void operator()(Index i, Index block) const {
    const Index row = order[state->step * batch + i];
    store_four(to.data + i * to.stride, 4 * block, to.columns, in_fours,
               load_four(from.data + row * from.stride, 4 * block, to.columns, in_fours));
  }
};

struct GatherNumbers {
  const Index* from;
  Index per_row;
  const Index* order;
  const RunState* state;
  Index batch;
  Index* to;
  __device__ void operator()(Index i, Index k) const {
    to[i * per_row + k] = from[order[state->step * batch + i] * per_row + k];
  }
};

constexpr int sum_threads = 1024;

__global__ void __launch_bounds__(sum_threads) sum_all(const Index* numbers, Index count, Index* sum) {
  __shared__ Index scratch[32];
  Index total = 0;
  GRADWELL_UNROLL_BY(4)
  for (Index i = threadIdx.x; i < count; i += sum_threads) total += numbers[i];
  total = join_block(total, Plus{}, Index(0), scratch);
  if (threadIdx.x == 0) *sum = total;
}

}  // namespace

template <class T>
void gather_rows(Queue& queue, Matrix<const T> from, const Index* order, const RunState* state, Index batch,
                 Matrix<T> to) {
  const bool in_fours = rows_in_fours(from) && rows_in_fours(to);
  for_each_element("gather_rows", queue, to.rows, ceiling(to.columns, 4),
                   GatherRows<T>{from, order, state, batch, to, in_fours});
}

void gather_numbers(Queue& queue, const Index* from, Index per_row, const Index* order, const RunState* state,
                    Index batch, Index rows, Index* to) {
  for_each_element("gather_numbers", queue, rows, per_row, GatherNumbers{from, per_row, order, state, batch, to});
}

void sum_numbers(Queue& queue, const Index* numbers, Index count, Index* sum) {
  launch("sum_numbers", queue, {1, sum_threads}, sum_all, numbers, count, sum);
}

#define GRADWELL_INSTANTIATE(T) \
  template void gather_rows(Queue&, Matrix<const T>, const Index*, const RunState*, Index, Matrix<T>);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell
