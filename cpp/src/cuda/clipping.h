// Clipping on arrays of the device; contracts: gradwell/clipping.h. Private to cpp/src/cuda.
#pragma once

#include "cuda/launch.h"
#include "cuda/slices.h"
#include "cuda/step.h"
#include "gradwell/clipping.h"
#include "gradwell/network.h"

namespace gradwell {
namespace cuda {

template <class T>
void clip_by_value(Queue&, T* x, double limit, Index count);
template <class T>
void clip_scale(Queue&, T* x, double factor, Index count);
// Of the columns, or of a vector (1, columns) as one unit; adds to *changed, where it is not null.
template <class T>
void clip_adaptive(Queue&, Matrix<const T> weight, Matrix<T> gradient, double ratio, double floor, bool vector,
                   unsigned long long* changed = nullptr);
template <class T>
void clip_max_norm(Queue&, Matrix<T> weight, double limit, unsigned long long* changed = nullptr);

// The norm of every slice of a block (contract: ClippingKernels::norm), in two launches. `partial` has room for
// norm_scratch<T>(piece_count) numbers.
template <class T>
constexpr Index norm_scratch(Index piece_count) {
  return piece_count;
}
template <class T>
void slice_norms(Queue&, const T* block, const Span* spans, Index count, const Piece* pieces, Index piece_count,
                 double* partial, double* norms);
// The same of the largest magnitudes, NaN where one is NaN: bounds for `set_bound` that no norm of many exceeds.
template <class T>
void slice_magnitudes(Queue&, const T* block, const Span* spans, Index count, const Piece* pieces, Index piece_count,
                      double* partial, double* largest);

// The constraint of a slice whose weights begin at `weight`, where the step goes.
template <class T>
void constrain(Queue&, const RunState* state, const Slice& slice, T* weight);

}  // namespace cuda
}  // namespace gradwell
