#include "gradwell/elementary.h"

#include "cpu/level.h"
#include "cpu/parallel.h"
#include "elementwise/math.h"

namespace gradwell {
namespace GRADWELL_LEVEL {
namespace {

template <class T, Pack<T> (*function)(Pack<T>)>
void map(Context context, const T* x, T* y, Index count) {
  for_each_chunk(context, count, 8, [&](Index begin, Index end) {
    for_each_pack<T>(end - begin,
                     [&](Index i, int n) { store_n<T>(y + begin + i, function(load_n<T>(x + begin + i, n)), n); });
  });
}

}  // namespace

template <class T>
ElementaryKernels<T> elementary_kernels() {
  return {map<T, exp<T>>, map<T, log<T>>, map<T, tanh<T>>, map<T, sigmoid<T>>};
}
template ElementaryKernels<float> elementary_kernels<float>();
template ElementaryKernels<double> elementary_kernels<double>();

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell
