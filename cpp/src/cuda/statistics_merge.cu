// The parts of every array of a step, merged into its statistics. Private to cpp/src/cuda.
#include "cuda/statistics.h"

namespace gradwell {
namespace cuda {
namespace {

constexpr int merge_threads = 512, merge_warps = merge_threads / 32;
constexpr int at_once = 8;  // parts whose bins a warp reads together

// Each thread merges every 512th part; these groups are joined by pairs. `to` (merge_threads).
template <class T>
__device__ void merge_totals(const StatisticsPart<T>* parts, Index count, Total* to) {
  const int thread = static_cast<int>(threadIdx.x);
  Total all = empty_total();
  for (Index k = thread; k < count; k += merge_threads) add_part(all, parts[k]);
  to[thread] = all;
  __syncthreads();
  for (int half = merge_threads / 2; half > 0; half /= 2) {
    if (half >= count) continue;
    if (thread < half && thread + half < count) {
      all = to[thread];
      add_part(all, to[thread + half]);
      to[thread] = all;
    }
    __syncthreads();
  }
}

// counts[bin - low] of [low, high] over all parts; a lane has a bin.
template <class T>
__device__ void count_bins(const StatisticsPart<T>* parts, Index count, int low, int high, unsigned long long* counts) {
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  for (int bin = thread; bin <= high - low; bin += merge_threads) counts[bin] = 0;
  __syncthreads();
  for (Index k = warp; k < count; k += at_once * merge_warps) {
    int first[at_once], last[at_once];
    GRADWELL_UNROLL
    for (int i = 0; i < at_once; ++i) {
      const Index at = k + i * merge_warps;
      first[i] = at < count ? parts[at].low : 0;
      last[i] = at < count ? parts[at].high : -1;
    }
    for (int bin = low + lane; bin <= high; bin += 32) {
      unsigned sum = 0;
      GRADWELL_UNROLL
      for (int i = 0; i < at_once; ++i)
        if (bin >= first[i] && bin <= last[i]) sum += parts[k + i * merge_warps].bins[bin];
      if (sum) atomicAdd(counts + bin - low, static_cast<unsigned long long>(sum));
    }
  }
  __syncthreads();
}

template <class T>
__global__ void __launch_bounds__(merge_threads)
    merge_entries(const StatisticsPart<T>* parts, const MergeTask* tasks, MergedEntry<T>* entries, Slots slots) {
  __shared__ int scratch[32];
  const MergeTask task = tasks[blockIdx.x];
  const StatisticsPart<T>* const own = parts + task.first_part;
  MergedEntry<T>* const to = in_slot(entries, slots) + blockIdx.x;
  const int thread = static_cast<int>(threadIdx.x);
  int low = exponent_bins, high = -1;
  for (Index k = thread; k < task.count; k += merge_threads) {
    if (own[k].high < own[k].low) continue;
    low = lesser(low, static_cast<int>(own[k].low));
    high = greater(high, static_cast<int>(own[k].high));
  }
  merge_totals(own, task.count, shared_memory<Total>());
  if (thread == 0) to->statistics = summary(shared_memory<Total>()[0]);
  low = join_block(low, Lesser{}, exponent_bins, scratch);
  high = join_block(high, Greater{}, -1, scratch);
  auto* const counts = shared_memory<unsigned long long>();
  count_bins(own, task.count, low, high, counts);
  constexpr unsigned long long most = 0xffffffffu;
  const int bins = high < low ? 0 : high - low + 1;
  for (int bin = thread; bin < bins; bin += merge_threads)
    to->counts[bin] = static_cast<std::uint32_t>(counts[bin] < most ? counts[bin] : most);
  if (thread > 0) return;
  to->low = bins > 0 ? low + ExponentRange<T>::lowest - exponent_bias : 0;
  to->bins = bins;
}

}  // namespace

template <class T>
void merge_all(Queue& queue, const StatisticsPart<T>* parts, const MergeTask* tasks, Index entries, MergedEntry<T>* to,
               Slots slots) {
  constexpr std::size_t totals = merge_threads * sizeof(Total), counts = exponent_bins * sizeof(unsigned long long);
  launch("merge_all", queue, {entries, merge_threads, totals > counts ? totals : counts}, merge_entries<T>, parts,
         tasks, to, slots);
}

#define GRADWELL_INSTANTIATE(T) \
  template void merge_all(Queue&, const StatisticsPart<T>*, const MergeTask*, Index, MergedEntry<T>*, Slots);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell
