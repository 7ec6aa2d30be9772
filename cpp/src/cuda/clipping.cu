#include "cuda/clipping.h"

#include "cuda/columns.h"
#include "cuda/level.h"
#include "cuda/norms.h"
#include "cuda/numbers.h"

namespace gradwell {
namespace cuda {
namespace {

template <class T>
struct Clamp {
  using Item = T;
  const RunState* state;  // or null: always
  T* x;
  T limit;
  __device__ bool skips() const { return state && !state->goes; }
  __device__ T load(Index i) const { return x[i]; }
  __device__ void put(Index i, T item) const { x[i] = at_least<T>(at_most<T>(item, limit), -limit); }
};

template <class T>
struct Multiply {
  using Item = T;
  T* x;
  T factor;
  __device__ bool skips() const { return false; }
  __device__ T load(Index i) const { return x[i]; }
  __device__ void put(Index i, T item) const { x[i] = item * factor; }
};

// Multiplies each column of x, which is at most `limit` or ratio times the norm of its weights, by a factor below 1.
template <class T, bool Adaptive>
struct Shrink {
  struct Sum {
    double squares, weights;
  };
  using Before = Nothing;
  using Row = char;
  struct Item {
    T x, weight;
  };
  static constexpr bool by_row = false;
  const RunState* state;  // or null: always
  Matrix<const T> weight;
  Matrix<T> x;
  double limit, floor;
  unsigned long long* changed;

  GRADWELL_BOTH bool maps() const { return true; }
  __device__ Nothing before(Index) const { return {}; }
  __device__ char row(Index) const { return 0; }
  __device__ Item load(Index i, Index j) const {
    return {x.data[i * x.stride + j], Adaptive ? weight.data[i * weight.stride + j] : T(0)};
  }
  __device__ void add(Sum& sum, const Item* items, int count, Nothing, const char*, int) const {
    GRADWELL_UNROLL
    for (int k = 0; k < rows_at_once; ++k)
      if (k < count) {
        const double value = static_cast<double>(items[k].x), w = static_cast<double>(items[k].weight);
        sum.squares = fma(value, value, sum.squares);
        if (Adaptive) sum.weights = fma(w, w, sum.weights);
      }
  }
  static __device__ Sum join(Sum a, Sum b) { return {a.squares + b.squares, a.weights + b.weights}; }
  __device__ double factor(Sum sum) const {
    const double size = root(sum.squares), w = root(sum.weights);
    const double most = Adaptive ? limit * (w > floor ? w : floor) : limit;
    return size > most ? most / size : 1.0;
  }
  __device__ void finish(Index, Sum sum) const {
    if (changed && factor(sum) < 1) atomicAdd(changed, 1ull);
  }
  __device__ T column(Index, Sum sum) const { return state && !state->goes ? T(1) : static_cast<T>(factor(sum)); }
  __device__ void put(Index i, Index j, T its_factor, Item item) const {
    if (its_factor != T(1)) x.data[i * x.stride + j] = item.x * its_factor;
  }
};

// One block a piece. Of float64 a second time, by its largest magnitude, where squares leave the range.
template <class T>
__global__ void __launch_bounds__(256) norm_pieces(const T* block, const Piece* pieces, double* partial) {
  __shared__ double scratch[32];
  const Piece piece = pieces[blockIdx.x];
  const T* const x = block + piece.first;
  constexpr int at_once = 8;
  double sums[at_once] = {};
  for (Index base = threadIdx.x; base < piece.size; base += at_once * 256) {
    T values[at_once] = {};
    GRADWELL_UNROLL
    for (int k = 0; k < at_once; ++k)
      if (base + k * 256 < piece.size) values[k] = x[base + k * 256];
    GRADWELL_UNROLL
    for (int k = 0; k < at_once; ++k)
      sums[k] = fma(static_cast<double>(values[k]), static_cast<double>(values[k]), sums[k]);
  }
  for (int half = at_once / 2; half > 0; half /= 2)
    for (int k = 0; k < half; ++k) sums[k] += sums[k + half];
  const double sum = join_block(sums[0], Plus{}, 0.0, scratch);
  double norm = root(sum);
  if (sizeof(T) == 8 && !(sum > 1e-280 && sum < no_limit))
    norm = norm_of_block(piece.size, scratch, [&](Index i) { return magnitude<double>(static_cast<double>(x[i])); });
  if (threadIdx.x == 0) partial[blockIdx.x] = norm;
}

template <class T>
__global__ void __launch_bounds__(256) largest_of_pieces(const T* block, const Piece* pieces, double* partial) {
  __shared__ double scratch[32];
  const Piece piece = pieces[blockIdx.x];
  double most = 0;
  for (Index i = threadIdx.x; i < piece.size; i += 256)
    most = Largest{}(most, magnitude<double>(static_cast<double>(block[piece.first + i])));
  most = join_block(most, Largest{}, 0.0, scratch);
  if (threadIdx.x == 0) partial[blockIdx.x] = most;
}

// One block a slice.
constexpr int join_threads = 512;

__global__ void __launch_bounds__(join_threads) join_norms(const Span* spans, const double* partial, double* norms) {
  __shared__ double scratch[32];
  const Span span = spans[blockIdx.x];
  const double norm = norm_of_block(span.pieces, scratch, [&](Index i) { return partial[span.first_piece + i]; });
  if (threadIdx.x == 0) norms[blockIdx.x] = norm;
}

__global__ void __launch_bounds__(join_threads)
    join_largest(const Span* spans, const double* partial, double* largest) {
  __shared__ double scratch[32];
  const Span span = spans[blockIdx.x];
  double most = 0;
  for (Index i = threadIdx.x; i < span.pieces; i += join_threads) most = Largest{}(most, partial[span.first_piece + i]);
  most = join_block(most, Largest{}, 0.0, scratch);
  if (threadIdx.x == 0) largest[blockIdx.x] = most;
}

template <class T>
Matrix<const T> nothing() {
  return {nullptr, 0, 0, 0};
}

}  // namespace

template <class T>
void clip_by_value(Queue& queue, T* x, double limit, Index count) {
  for_each_number("clip_by_value", queue, count, Clamp<T>{nullptr, x, static_cast<T>(limit)});
}

template <class T>
void clip_scale(Queue& queue, T* x, double factor, Index count) {
  for_each_number("clip_scale", queue, count, Multiply<T>{x, static_cast<T>(factor)});
}

template <class T>
void clip_adaptive(Queue& queue, Matrix<const T> weight, Matrix<T> gradient, double ratio, double floor, bool vector,
                   unsigned long long* changed) {
  if (vector) {
    weight = {weight.data, weight.columns, 1, 1};
    gradient = {gradient.data, gradient.columns, 1, 1};
  }
  const Shrink<T, true> body = {nullptr, weight, gradient, ratio, floor, changed};
  over_columns("clip_adaptive", queue, gradient.rows, gradient.columns, body);
}

template <class T>
void clip_max_norm(Queue& queue, Matrix<T> weight, double limit, unsigned long long* changed) {
  const Shrink<T, false> body = {nullptr, nothing<T>(), weight, limit, 0, changed};
  over_columns("clip_max_norm", queue, weight.rows, weight.columns, body);
}

template <class T>
void slice_norms(Queue& queue, const T* block, const Span* spans, Index count, const Piece* pieces, Index piece_count,
                 double* partial, double* norms) {
  launch("slice_norms", queue, {piece_count}, norm_pieces<T>, block, pieces, partial);
  launch("slice_norms", queue, {count, join_threads}, join_norms, spans, partial, norms);
}

template <class T>
void slice_magnitudes(Queue& queue, const T* block, const Span* spans, Index count, const Piece* pieces,
                      Index piece_count, double* partial, double* largest) {
  launch("slice_magnitudes", queue, {piece_count}, largest_of_pieces<T>, block, pieces, partial);
  launch("slice_magnitudes", queue, {count, join_threads}, join_largest, spans, partial, largest);
}

template <class T>
void constrain(Queue& queue, const RunState* state, const Slice& slice, T* weight) {
  if (slice.constraint == Constraint::clip) {
    for_each_number("constrain", queue, slice.size(), Clamp<T>{state, weight, static_cast<T>(slice.constraint_limit)});
  } else if (slice.constraint == Constraint::max_norm) {
    const Matrix<T> w = {weight, slice.rows, slice.columns, slice.columns};
    const Shrink<T, false> body = {state, nothing<T>(), w, slice.constraint_limit, 0, nullptr};
    over_columns("constrain", queue, w.rows, w.columns, body);
  }
}

namespace {

template <class T>
double norm(Context, const T* x, Index count) {
  Staging host;
  std::vector<Span> span = {{0, count}};
  const std::vector<Piece> pieces = cut_spans(span);
  const auto piece_count = static_cast<Index>(pieces.size());
  double norm = 0;
  slice_norms(host.queue(), host.in(x, count), host.in(span.data(), 1), 1, host.in(pieces.data(), piece_count),
              piece_count, host.scratch<double>(norm_scratch<T>(piece_count)), host.place(&norm));
  host.finish();
  return norm;
}

template <class T>
void by_value(Context, T* x, double limit, Index count) {
  Staging host;
  clip_by_value(host.queue(), host.out(x, count), limit, count);
  host.finish();
}

template <class T>
void scale(Context, T* x, double factor, Index count) {
  Staging host;
  clip_scale(host.queue(), host.out(x, count), factor, count);
  host.finish();
}

template <class T>
Index adaptive(Context, Matrix<const T> weight, Matrix<T> gradient, double ratio, double floor) {
  Staging host;
  unsigned long long changed = 0;
  clip_adaptive(host.queue(), host.in(weight), host.out(gradient), ratio, floor, false, host.place(&changed));
  host.finish();
  return static_cast<Index>(changed);
}

template <class T>
Index max_norm(Context, Matrix<T> weight, double limit) {
  Staging host;
  unsigned long long changed = 0;
  clip_max_norm(host.queue(), host.out(weight), limit, host.place(&changed));
  host.finish();
  return static_cast<Index>(changed);
}

}  // namespace

template <class T>
ClippingKernels<T> clipping_kernels() {
  return {norm<T>, by_value<T>, scale<T>, adaptive<T>, max_norm<T>};
}

#define GRADWELL_INSTANTIATE(T)                                                                                \
  template void clip_by_value(Queue&, T*, double, Index);                                                      \
  template void clip_scale(Queue&, T*, double, Index);                                                         \
  template void clip_adaptive(Queue&, Matrix<const T>, Matrix<T>, double, double, bool, unsigned long long*);  \
  template void clip_max_norm(Queue&, Matrix<T>, double, unsigned long long*);                                 \
  template void slice_norms(Queue&, const T*, const Span*, Index, const Piece*, Index, double*, double*);      \
  template void slice_magnitudes(Queue&, const T*, const Span*, Index, const Piece*, Index, double*, double*); \
  template void constrain(Queue&, const RunState*, const Slice&, T*);                                          \
  template ClippingKernels<T> clipping_kernels<T>();
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell
