#include "cuda/level.h"

namespace gradwell {
namespace cuda {

template <class T>
void fill_table(Kernels<T>& table) {
  table.activation = activation_kernels<T>();
  table.dense = dense_kernels<T>();
  table.statistics = statistics_kernels<T>();
}
template void fill_table(Kernels<float>& table);
template void fill_table(Kernels<double>& table);

}  // namespace cuda
}  // namespace gradwell
