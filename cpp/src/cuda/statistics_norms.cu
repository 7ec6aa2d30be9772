// Norms of finite elements. Squares are summed in double.
#include "cuda/statistics_piece.h"

namespace gradwell {
namespace cuda {
namespace {

constexpr double small_scale = 0x1p500, large_scale = 0x1p-500;

template <class T>
struct Squares {
  double sum[square_sums<T>];
};

__device__ inline void add_square(Squares<float>& to, double x) {
  to.sum[0] = fma(x, x, to.sum[0]);
}
__device__ inline void add_square(Squares<double>& to, double x) {
  const double up = x * small_scale, down = x * large_scale;
  to.sum[0] = fma(x, x, to.sum[0]);
  to.sum[1] = fma(up, up, to.sum[1]);
  to.sum[2] = fma(down, down, to.sum[2]);
}
__device__ inline double norm_of(const Squares<float>& squares) {
  return root(squares.sum[0]);
}
__device__ inline double norm_of(const Squares<double>& squares) {
  const double sum = squares.sum[0];
  if (sum > 1e-250 && sum < 1e300) return root(sum);
  return sum < 1 ? root(squares.sum[1]) / small_scale : root(squares.sum[2]) / large_scale;
}

template <class T>
__device__ void take(Squares<T>& to, T x, bool flush) {
  if (exponent_of(x) < not_finite<T>) add_square(to, number_of(x, flush));
}

template <class T>
__device__ Squares<T> join_squares(Squares<T> squares) {
  __shared__ double scratch[32];
  for (double& sum : squares.sum) sum = join_block(sum, Plus{}, 0.0, scratch);
  return squares;
}

// All blocks of the grid together; each leaves its sums.
template <class T>
__global__ void sum_squares(Matrix<const T> x, bool flush, double* sums) {
  Squares<T> squares = {};
  if (x.rows == 1) {
    const Index threads = static_cast<Index>(gridDim.x) * blockDim.x;
    GRADWELL_UNROLL_BY_8
    for (Index j = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; j < x.columns; j += threads)
      take(squares, x.data[j], flush);
  } else {
    for (Index i = blockIdx.x; i < x.rows; i += gridDim.x)
      for (Index j = threadIdx.x; j < x.columns; j += blockDim.x) take(squares, x.data[i * x.stride + j], flush);
  }
  squares = join_squares(squares);
  if (threadIdx.x > 0) return;
  for (int k = 0; k < square_sums<T>; ++k) sums[static_cast<int>(blockIdx.x) * square_sums<T> + k] = squares.sum[k];
}

template <class T>
__global__ void join_sums(const double* sums, double* norms, Slots slots) {
  const double* const own = sums + static_cast<Index>(blockIdx.x) * norm_numbers<T> + threadIdx.x * square_sums<T>;
  Squares<T> squares;
  for (int k = 0; k < square_sums<T>; ++k) squares.sum[k] = own[k];
  squares = join_squares(squares);
  if (threadIdx.x == 0) in_slot(norms, slots)[blockIdx.x] = norm_of(squares);
}

template <class T>
__global__ void norm_pieces(Matrix<const T> x, Pieces cut, bool flush, double* norms) {
  const Matrix<const T> own = piece(x, cut, static_cast<Index>(blockIdx.x));
  const int count = static_cast<int>(own.rows * own.columns);
  Squares<T> squares = {};
  GRADWELL_UNROLL_BY_8
  for (int k = static_cast<int>(threadIdx.x); k < count; k += piece_threads) take(squares, element(own, k), flush);
  squares = join_squares(squares);
  if (threadIdx.x == 0) norms[blockIdx.x] = norm_of(squares);
}

}  // namespace

template <class T>
void norms(Queue& queue, Matrix<const T> x, bool flush, double* to) {
  const Pieces cut = pieces_of(x.rows, x.columns);
  launch("norms", queue, {cut.count, piece_threads}, norm_pieces<T>, x, cut, flush, to);
}

template <class T>
void square_matrix(Queue& queue, Matrix<const T> x, bool flush, double* sums) {
  launch("square_matrix", queue, {norm_blocks}, sum_squares<T>, as_one_row(x), flush, sums);
}

template <class T>
void finish_norms(Queue& queue, const double* sums, Index count, double* norms, Slots slots) {
  launch("finish_norms", queue, {count, norm_blocks}, join_sums<T>, sums, norms, slots);
}

#define GRADWELL_INSTANTIATE(T)                                        \
  template void norms(Queue&, Matrix<const T>, bool, double*);         \
  template void square_matrix(Queue&, Matrix<const T>, bool, double*); \
  template void finish_norms<T>(Queue&, const double*, Index, double*, Slots);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell
