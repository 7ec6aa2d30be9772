#include "cuda/recurrent_gradients.h"

#include "cuda/launch.h"

namespace gradwell {
namespace cuda {
namespace {

constexpr int column_warps = 8;
constexpr Index most_parts = 64, least_rows = 64;

// The sums side by side: of the gates, of gru's h' U + b_n, and of gates times cells, which the peepholes take.
template <class T>
struct TimeTerms {
  RecurrentRun<T> run;
  Index rows, wide, own, columns;  // up to `wide`: bias; up to `own`: recurrent bias; then peepholes
  __device__ double operator()(Index row, Index j) const {
    if (j < wide) return static_cast<double>(run.gates[row * wide + j]);
    if (j < own) return static_cast<double>(run.cells[row * run.hidden + j - wide]);
    // i and f see the cell before the step, o the one after.
    const Index hidden = run.hidden, k = (j - own) / hidden, unit = (j - own) % hidden;
    const T gate = run.gates[row * wide + (k == 2 ? 3 : k) * hidden + unit];
    const T cell = run.cells[(row + (k == 2 ? run.batch : 0)) * hidden + unit];
    return static_cast<double>(gate) * static_cast<double>(cell);
  }
};

// A block sums 32 columns over its share of the rows, which its warps take in turn.
template <class T>
__global__ void sum_shares(TimeTerms<T> terms, Index across, Index share, double* parts) {
  __shared__ double of_warps[column_warps][32];
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const Index part = static_cast<Index>(blockIdx.x) / across;
  const Index j = static_cast<Index>(blockIdx.x) % across * 32 + lane;
  const Index end = (part + 1) * share < terms.rows ? (part + 1) * share : terms.rows;
  double sum = 0;
  if (j < terms.columns) {
    for (Index row = part * share + warp; row < end; row += column_warps) sum += terms(row, j);
  }
  of_warps[warp][lane] = sum;
  __syncthreads();
  if (warp > 0 || j >= terms.columns) return;
  for (int w = 1; w < column_warps; ++w) sum += of_warps[w][lane];
  parts[part * terms.columns + j] = sum;
}

template <class T>
struct JoinShares {
  TimeTerms<T> terms;
  const double* parts;
  Index count;
  T *dbias, *drecurrent_bias, *dpeephole;
  __device__ void operator()(Index, Index j) const {
    double sum = 0;
    for (Index part = 0; part < count; ++part) sum += parts[part * terms.columns + j];
    T* const to = j < terms.wide ? dbias : (j < terms.own ? drecurrent_bias : dpeephole);
    if (to) to[j - (j < terms.wide ? 0 : (j < terms.own ? terms.wide : terms.own))] = static_cast<T>(sum);
  }
};

}  // namespace

Index sum_parts(CellKind kind, Index hidden) {
  return most_parts * (gates_of(kind) + 3) * hidden;
}

template <class T>
void sum_over_time(Queue& queue, const RecurrentRun<T>& run, T* dbias, T* drecurrent_bias, T* dpeephole,
                   double* parts) {
  if (!dbias && !drecurrent_bias && !dpeephole) return;
  TimeTerms<T> terms;
  terms.run = run;
  terms.rows = run.steps * run.batch;
  terms.wide = gates_of(run.kind) * run.hidden;
  terms.own = terms.wide + (drecurrent_bias ? run.hidden : 0);
  terms.columns = terms.own + (dpeephole ? 3 * run.hidden : 0);
  const Index wanted = ceiling(terms.rows, least_rows), count = wanted < most_parts ? wanted : most_parts;
  const Index share = count > 0 ? ceiling(terms.rows, count) : 0, across = ceiling(terms.columns, 32);
  launch("recurrent_sums", queue, {count * across, 32 * column_warps}, sum_shares<T>, terms, across, share, parts);
  for_each_element("recurrent_joined_sums", queue, 1, terms.columns,
                   JoinShares<T>{terms, parts, count, dbias, drecurrent_bias, dpeephole});
}

template void sum_over_time(Queue&, const RecurrentRun<float>&, float*, float*, float*, double*);
template void sum_over_time(Queue&, const RecurrentRun<double>&, double*, double*, double*, double*);

}  // namespace cuda
}  // namespace gradwell
