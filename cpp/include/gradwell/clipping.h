// Clipping of gradients and of weights, in place. Norms are sums of squares in double over chunks of 4096 in their
// order.
//
//   value     g <- clamp(g, limit)
//   norm      g <- g limit / |g| where |g| > limit, |g| over all parameters          Pascanu, Mikolov, Bengio 2013
//   layer     the same for each layer by itself
//   adaptive  for each unit (column) i: g_i <- g_i r / |g_i| where |g_i| > r = limit max(|W_i|, floor)
//             (AGC: Brock, De, Smith, Simonyan 2021); a bias is one unit
//   percentile  norm, with limit the p-th percentile of all norms so far, this one included (AutoClip: Seetharaman,
//             Wichern, Pardo, Le Roux 2020), interpolated linearly
//   zscore    norm, where z = (|g| - mean) / std > limit: |g| becomes mean + limit^2 std / z, with running mean and
//             variance of the clipped norms (ZClip: Kumar, Owen, Chowdhury, Güra 2025) after `warm_up` steps
#pragma once

#include "gradwell/types.h"

namespace gradwell {

enum class ClipKind : int { none, value, norm, layer, adaptive, percentile, zscore };

struct ClipPlan {
  ClipKind kind = ClipKind::none;
  double limit = 0;
  double floor = 1e-3;  // adaptive; zscore: the decay of the running figures
  Index warm_up = 0;    // zscore
};

template <class T>
struct ClippingKernels {
  // NaN where any element is, infinity where any is infinite; no square overflows or underflows.
  double (*norm)(Context, const T* x, Index count);
  void (*by_value)(Context, T* x, double limit, Index count);
  void (*scale)(Context, T* x, double factor, Index count);
  // Both return how many columns they changed.
  Index (*adaptive)(Context, Matrix<const T> weight, Matrix<T> gradient, double ratio, double floor);
  Index (*max_norm)(Context, Matrix<T> weight, double limit);
};

}  // namespace gradwell
