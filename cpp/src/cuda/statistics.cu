#include "cuda/statistics.h"

#include <cstring>

#include "cuda/level.h"
#include "cuda/statistics_piece.h"

namespace gradwell {
namespace cuda {
namespace {

template <class T>
__device__ Matrix<const T> piece_of(const MeasureTask<T>& task, Index k) {
  const Matrix<const T> x = {task.data, task.rows, task.columns, task.stride};
  if (task.rows > 1) return piece(x, pieces_of(task.rows, task.columns), k);
  const Index first = k * part_elements;  // a row is not worth a division
  const Index left = task.columns - first, count = left < part_elements ? left : part_elements;
  return {task.data + first, 1, count, count};
}

constexpr int blocks_at_once(std::size_t bytes) {
  return bytes == 4 ? 6 : 4;
}

template <class T>
__global__ void __launch_bounds__(piece_threads, blocks_at_once(sizeof(T)))
    measure_listed(const MeasureTask<T>* tasks, const PieceOf* list, bool flush, StatisticsPart<T>* parts,
                   Index* counter) {
  if (counter && blockIdx.x == 0 && threadIdx.x == 0) ++*counter;
  const PieceOf at = list[blockIdx.x];
  const MeasureTask<T> task = tasks[at.task];
  measure_piece(piece_of(task, at.piece), flush, parts + task.first_part + at.piece);
}

template <class T>
__global__ void __launch_bounds__(piece_threads, blocks_at_once(sizeof(T)))
    measure_matrix(MeasureTask<T> task, bool flush, StatisticsPart<T>* parts) {
  const auto k = static_cast<Index>(blockIdx.x);
  measure_piece(piece_of(task, k), flush, parts + k);
}

// The largest of many is the same in any order.
template <class T>
__global__ void find_largest(Matrix<const T> x, unsigned long long* most) {
  __shared__ Words<T> scratch[32];
  const Index threads = static_cast<Index>(gridDim.x) * blockDim.x;
  const Index thread = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x;
  Words<T> found = 0;
  if (x.rows == 1) {
    GRADWELL_UNROLL_BY_8
    for (Index j = thread; j < x.columns; j += threads) found = greater(found, doubled_bits(x.data[j]));
  } else {
    for (Index i = blockIdx.x; i < x.rows; i += gridDim.x)
      for (Index j = threadIdx.x; j < x.columns; j += blockDim.x)
        found = greater(found, doubled_bits(x.data[i * x.stride + j]));
  }
  found = join_block(found, Greater{}, Words<T>{}, scratch);
  if (threadIdx.x == 0) atomicMax(most, static_cast<unsigned long long>(found >> 1));
}

// One chunk of part_elements numbers a block.
template <class T>
__global__ void __launch_bounds__(piece_threads)
    compare_chunk(Index count, const T* __restrict__ now, T* __restrict__ before, double* moved, double* sizes) {
  __shared__ double apart_of[piece_warps], size_of[piece_warps];
  const Index first = static_cast<Index>(blockIdx.x) * part_elements, left = count - first;
  const int many = static_cast<int>(left < part_elements ? left : part_elements);
  double apart = 0, size = 0;
  GRADWELL_UNROLL_BY_8
  for (int k = static_cast<int>(threadIdx.x); k < many; k += piece_threads) {
    const T here = now[first + k];
    const double was = static_cast<double>(before[first + k]), difference = static_cast<double>(here) - was;
    apart = fma(difference, difference, apart);
    size = fma(was, was, size);
    before[first + k] = here;
  }
  leave(apart_of, apart, Plus{});
  leave(size_of, size, Plus{});
  __syncthreads();
  if (threadIdx.x > 0) return;
  moved[blockIdx.x] = joined(apart_of, Plus{});
  sizes[blockIdx.x] = joined(size_of, Plus{});
}

}  // namespace

template <class T>
void measure_all(Queue& queue, const MeasureTask<T>* tasks, const PieceOf* list, Index pieces, bool flush,
                 StatisticsPart<T>* parts, Index* counter) {
  launch("measure_all", queue, {pieces, piece_threads}, measure_listed<T>, tasks, list, flush, parts, counter);
}

template <class T>
void measure_parts(Queue& queue, Matrix<const T> x, bool flush, StatisticsPart<T>* parts) {
  const MeasureTask<T> task = {x.data, x.stride, x.rows, x.columns, 0};
  launch("measure_parts", queue, {pieces_of(x.rows, x.columns).count, piece_threads}, measure_matrix<T>, task, flush,
         parts);
}

template <class T>
void largest(Queue& queue, Matrix<const T> x, unsigned long long* most) {
  const Matrix<const T> m = as_one_row(x);
  const Index blocks = ceiling(m.rows * m.columns, 8192);
  launch("largest", queue, {blocks < 1024 ? blocks : 1024}, find_largest<T>, m, most);
}

template <class T>
void changes(Queue& queue, Index count, const T* now, T* before, double* moved, double* sizes) {
  launch("changes", queue, {ceiling(count, part_elements), piece_threads}, compare_chunk<T>, count, now, before, moved,
         sizes);
}

namespace {

template <class T>
void measure_parts(Context context, Matrix<const T> x, StatisticsPart<T>* parts) {
  Staging host;
  cuda::measure_parts(host.queue(), host.in(x), context.flush_denormals,
                      host.out(parts, pieces_of(x.rows, x.columns).count));
  host.finish();
}

template <class T>
Statistics merge(const StatisticsPart<T>* parts, Index count, std::uint64_t* histogram) {
  Total all = empty_total();
  for (Index k = 0; k < count; ++k) {
    add_part(all, parts[k]);
    if (histogram) add_bins(parts[k], histogram);
  }
  return summary(all);
}

template <class T>
Statistics measure(Context context, Matrix<const T> x, std::uint64_t* histogram) {
  const Matrix<const T> m = as_one_row(x);
  std::vector<StatisticsPart<T>> parts(static_cast<std::size_t>(pieces_of(m.rows, m.columns).count));
  measure_parts<T>(context, m, parts.data());
  return merge<T>(parts.data(), static_cast<Index>(parts.size()), histogram);
}

template <class T>
double largest(Context, Matrix<const T> x) {
  Staging host;
  unsigned long long most = 0;
  cuda::largest(host.queue(), host.in(x), host.place(&most));
  host.finish();
  const auto bits = static_cast<Words<T>>(most);
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return static_cast<double>(value);
}

template <class T>
void norms(Context context, Matrix<const T> x, double* to) {
  Staging host;
  cuda::norms(host.queue(), host.in(x), context.flush_denormals, host.out(to, pieces_of(x.rows, x.columns).count));
  host.finish();
}

template <class T>
void changes(Context, Index count, const T* now, T* before, double* moved, double* sizes) {
  Staging host;
  const Index chunks = ceiling(count, part_elements);
  cuda::changes(host.queue(), count, host.in(now, count), host.out(before, count), host.out(moved, chunks),
                host.out(sizes, chunks));
  host.finish();
}

}  // namespace

template <class T>
StatisticsKernels<T> statistics_kernels() {
  return {measure<T>, measure_parts<T>, merge<T>, largest<T>, norms<T>, changes<T>};
}

#define GRADWELL_INSTANTIATE(T)                                                                                      \
  template void measure_all(Queue&, const MeasureTask<T>*, const PieceOf*, Index, bool, StatisticsPart<T>*, Index*); \
  template void measure_parts(Queue&, Matrix<const T>, bool, StatisticsPart<T>*);                                    \
  template void largest(Queue&, Matrix<const T>, unsigned long long*);                                               \
  template void changes(Queue&, Index, const T*, T*, double*, double*);                                              \
  template StatisticsKernels<T> statistics_kernels<T>();
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell
