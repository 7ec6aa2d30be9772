// What happens to whole gradients and weights around a step: amplification, clipping, constraints, penalties.
#include <algorithm>
#include <cmath>

#include "layers/layer.h"
#include "program_lock.h"

namespace gradwell {

template <class T>
void Program<T>::amplify(Context context, const std::vector<double>& factors) {
  for (std::size_t i = 0; i < factors.size(); ++i)
    if (factors[i] != 1)
      kernels<T>().clipping.scale(context, gradients_.data() + slices_[i].offset, factors[i], slices_[i].size());
}

// Leaves in slice_scales_ what the gradients are to be multiplied by, or changes them where it is more than a factor.
// A norm that is not finite changes nothing.
template <class T>
ClipEntry Program<T>::clip(Context context, const ClipPlan& plan) {
  const auto& kernel = kernels<T>().clipping;
  std::fill(slice_scales_.begin(), slice_scales_.end(), 1.0);
  const auto norm_of_slice = [&](std::size_t i) {
    return kernel.norm(context, gradients_.data() + slices_[i].offset, slices_[i].size());
  };
  const auto whole = [&](std::size_t begin, std::size_t end, Index* cause) {
    double norm = 0, most = -1;
    for (std::size_t i = begin; i < end; ++i) {
      const double part = norm_of_slice(i);
      norm = std::hypot(norm, part);
      if (std::isnan(part)) norm = part;  // hypot of an infinity and a NaN would be infinite
      if (cause && !(part <= most)) {
        most = part;
        *cause = static_cast<Index>(i);
      }
    }
    return norm;
  };
  ClipEntry entry = {0, 0, -1};
  entry.after = entry.before = whole(0, slices_.size(), &entry.cause);
  if (!std::isfinite(entry.before)) return entry;
  switch (plan.kind) {
    case ClipKind::none:
      return entry;
    case ClipKind::value:
      for (const Slice& slice : slices_)
        kernel.by_value(context, gradients_.data() + slice.offset, plan.limit, slice.size());
      entry.after = whole(0, slices_.size(), nullptr);
      return entry;
    case ClipKind::adaptive:
      for (const Slice& slice : slices_) {
        T* const gradient = gradients_.data() + slice.offset;
        const T* const weight = parameters_.data() + slice.offset;
        if (slice.rows > 0) {
          kernel.adaptive(context, {weight, slice.rows, slice.columns, slice.columns},
                          {gradient, slice.rows, slice.columns, slice.columns}, plan.limit, plan.floor);
        } else {
          const double most = plan.limit * std::fmax(kernel.norm(context, weight, slice.size()), plan.floor);
          const double norm = kernel.norm(context, gradient, slice.size());
          if (norm > most) kernel.scale(context, gradient, most / norm, slice.size());
        }
      }
      entry.after = whole(0, slices_.size(), nullptr);
      return entry;
    case ClipKind::layer: {
      double after = 0;
      for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
        const double norm = whole(first_slice_[layer], first_slice_[layer + 1], nullptr);
        const double factor = norm > plan.limit ? plan.limit / norm : 1.0;
        for (std::size_t i = first_slice_[layer]; i < first_slice_[layer + 1]; ++i) slice_scales_[i] = factor;
        after = std::hypot(after, std::fmin(norm, plan.limit));
      }
      entry.after = after;
      return entry;
    }
    default: {
      clipper_.set(plan);
      entry.after = clipper_.allowed(entry.before);
      if (entry.after < entry.before) std::fill(slice_scales_.begin(), slice_scales_.end(), entry.after / entry.before);
      return entry;
    }
  }
}

template <class T>
void Program<T>::constrain(Context context) {
  if (!constrained_) return;
  const auto& kernel = kernels<T>().clipping;
  for (const Slice& slice : slices_) {
    T* const weight = parameters_.data() + slice.offset;
    if (slice.constraint == Constraint::max_norm)
      kernel.max_norm(context, {weight, slice.rows, slice.columns, slice.columns}, slice.constraint_limit);
    if (slice.constraint == Constraint::clip) kernel.by_value(context, weight, slice.constraint_limit, slice.size());
  }
}

template <class T>
double Program<T>::penalty(Context context) {
  Lock lock(*this, context.flush_denormals);
  fetch();
  double sum = 0;
  for (const Slice& slice : slices_) {
    if (!(slice.penalty.l1 > 0 || slice.penalty.l2 > 0)) continue;
    const T* const p = parameters_.data() + slice.offset;
    const double norm = kernels<T>().clipping.norm(context, p, slice.size());
    double magnitudes = 0;
    for (Index k = 0; k < slice.size(); ++k) magnitudes += std::fabs(static_cast<double>(p[k]));
    sum += slice.penalty.l1 * magnitudes + slice.penalty.l2 / 2 * norm * norm;
  }
  return sum;
}

#define GRADWELL_INSTANTIATE(T)                                           \
  template void Program<T>::amplify(Context, const std::vector<double>&); \
  template ClipEntry Program<T>::clip(Context, const ClipPlan&);          \
  template void Program<T>::constrain(Context);                           \
  template double Program<T>::penalty(Context);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace gradwell
