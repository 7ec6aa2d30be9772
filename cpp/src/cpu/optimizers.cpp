#include "gradwell/optimizers.h"

#include "cpu/level.h"
#include "cpu/parallel.h"
#include "cpu/squares.h"
#include "elementwise/optimizer_rules.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

// The vector of parameters at i after its step; its state is stored.
template <class T, class Rule>
GRADWELL_INLINE Pack<T> step_at(const Rule& rule, Pack<T> p, const T* gradient, const StepState<T>& state, Index i,
                                int n) {
  Pack<T> s[most_states];
#pragma GCC unroll 2
  for (int k = 0; k < Rule::states; ++k) s[k] = load_n<T>(state.state[k] + i, n);
  const Pack<T> after = rule(p, load_n<T>(gradient + i, n), s);
#pragma GCC unroll 2
  for (int k = 0; k < Rule::states; ++k) store_n<T>(state.state[k] + i, s[k], n);
  return after;
}

template <class T>
void update(Context context, const StepRule& step, T* parameter, const T* gradient, StepState<T> state, Index count) {
  with_rule<T>(step, [&](auto rule) {
    for_each_chunk(context, count, 1 + 2 * rule.states, [&](Index begin, Index end) {
      for_each_pack<T>(end - begin, [&](Index k, int n) {
        const Index i = begin + k;
        store_n<T>(parameter + i, step_at<T>(rule, load_n<T>(parameter + i, n), gradient, state, i, n), n);
      });
    });
  });
}

// On one thread, piece by piece in order: the step of a piece is kept on the stack between its two uses.
template <class T>
StepNorms update_recorded(Context, const StepRule& step, T* parameter, const T* gradient, StepState<T> state,
                          Index count) {
  constexpr Index piece = 2048;
  StepNorms norms = {0, 0};
  with_rule<T>(step, [&](auto rule) {
    alignas(64) T change[piece];
    for (Index begin = 0; begin < count; begin += piece) {
      const Index size = count - begin < piece ? count - begin : piece;
      T* const p = parameter + begin;
      norms.parameter += sum_of_squares(p, size);
      for_each_pack<T>(size, [&](Index k, int n) {
        const Pack<T> before = load_n<T>(p + k, n);
        const Pack<T> after = step_at<T>(rule, before, gradient, state, begin + k, n);
        store_n<T>(change + k, after - before, n);
        store_n<T>(p + k, after, n);
      });
      norms.step += sum_of_squares(change, size);
    }
  });
  return norms;
}

}  // namespace

template <class T>
OptimizerKernels<T> optimizer_kernels() {
  return {update<T>, update_recorded<T>};
}
template OptimizerKernels<float> optimizer_kernels<float>();
template OptimizerKernels<double> optimizer_kernels<double>();

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell
