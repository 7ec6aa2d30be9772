#include "cuda/level.h"

namespace gradwell {
namespace cuda {

template <class T>
void fill_table(Kernels<T>& table) {
  table.activation = activation_kernels<T>();
  table.batchnorm = batchnorm_kernels<T>();
  table.boltzmann = boltzmann_kernels<T>();
  table.clipping = clipping_kernels<T>();
  table.dense = dense_kernels<T>();
  table.dropout = dropout_kernels<T>();
  table.elementary = elementary_kernels<T>();
  table.layernorm = layernorm_kernels<T>();
  table.loss = loss_kernels<T>();
  table.optimizers = optimizer_kernels<T>();
  table.residual = residual_kernels<T>();
  table.statistics = statistics_kernels<T>();
}
template void fill_table(Kernels<float>& table);
template void fill_table(Kernels<double>& table);

}  // namespace cuda
}  // namespace gradwell
