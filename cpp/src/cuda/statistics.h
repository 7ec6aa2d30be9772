// Statistics of arrays of the device; contracts: gradwell/statistics.h. Private to cpp/src/cuda.
//
// One block measures one piece, from registers. What belongs to many arrays is done by one launch for all of them, from
// tables on the device.
#pragma once

#include "cuda/launch.h"
#include "elementwise/merging.h"

namespace gradwell {
namespace cuda {

// An array, cut by pieces_of(rows, columns) into parts[first_part ...]; one without gaps is best given as one row.
template <class T>
struct MeasureTask {
  const T* data;
  Index stride, rows, columns, first_part;
};
struct PieceOf {
  int task;
  Index piece;
};
struct MergeTask {
  Index first_part, count;
};

// Statistics with their histogram, as in RecordEntry (gradwell/record.h).
template <class T>
struct MergedEntry {
  Statistics statistics;
  std::int32_t low, bins;
  std::uint32_t counts[ExponentRange<T>::count];
};

// Room for the results of several steps: what this step leaves lies *slot * bytes behind what is pointed at.
struct Slots {
  const Index* slot = nullptr;
  Index count = 1, bytes = 0;
};

// One block a piece. `counter`, where there is one, goes on by one.
template <class T>
void measure_all(Queue&, const MeasureTask<T>*, const PieceOf*, Index pieces, bool flush, StatisticsPart<T>* parts,
                 Index* counter = nullptr);
// One block an entry.
template <class T>
void merge_all(Queue&, const StatisticsPart<T>* parts, const MergeTask*, Index entries, MergedEntry<T>* to,
               Slots slots = {});

template <class T>
void measure_parts(Queue&, Matrix<const T> x, bool flush, StatisticsPart<T>* parts);
// *most, the bits of a magnitude, becomes those of the largest |x| where that is larger.
template <class T>
void largest(Queue&, Matrix<const T> x, unsigned long long* most);
template <class T>
void norms(Queue&, Matrix<const T> x, bool flush, double* norms);
template <class T>
void changes(Queue&, Index count, const T* now, T* before, double* moved, double* sizes);

// The norm of a matrix's finite elements, in two halves: sums of squares of its parts, and of `count` matrices the
// norms of what these make together. Each matrix has norm_numbers<T> numbers of `sums`.
constexpr int norm_blocks = 256;
template <class T>
constexpr int square_sums = sizeof(T) == 4 ? 1 : 3;  // of float64 at three scales, so that one stays in range
template <class T>
constexpr int norm_numbers = norm_blocks * square_sums<T>;
template <class T>
void square_matrix(Queue&, Matrix<const T> x, bool flush, double* sums);
template <class T>
void finish_norms(Queue&, const double* sums, Index count, double* norms, Slots slots = {});
template <class T>
void matrix_norm(Queue& queue, Matrix<const T> x, bool flush, double* sums, double* norm) {
  square_matrix(queue, x, flush, sums);
  finish_norms<T>(queue, sums, 1, norm);
}

// Where the results of this step begin.
template <class V>
__device__ V* in_slot(V* first, Slots slots) {
  if (!slots.slot) return first;
  const Index k = *slots.slot < slots.count ? *slots.slot : slots.count - 1;
  return reinterpret_cast<V*>(reinterpret_cast<unsigned char*>(first) + k * slots.bytes);
}

}  // namespace cuda
}  // namespace gradwell
