#include "layers/dense.h"

namespace gradwell {

template <class T>
DenseLayer<T>::DenseLayer(int stage, const Slice& weight, const Slice* bias, ActivationPart<T> part)
    : stage_(stage),
      inputs_(weight.rows),
      outputs_(weight.columns),
      weight_offset_(weight.offset),
      bias_offset_(bias ? bias->offset : 0),
      has_bias_(bias != nullptr),
      part_(part) {}

template <class T>
void DenseLayer<T>::bind_memory(T* kept, Index batch) {
  y_ = kept;
  z_ = part_.keeps_input() ? kept + batch * outputs_ : nullptr;
}

template <class T>
void DenseLayer<T>::bind_parameters(T* parameters, T* gradients) {
  weight_ = parameters + weight_offset_;
  dweight_ = gradients + weight_offset_;
  if (has_bias_) {
    bias_ = parameters + bias_offset_;
    dbias_ = gradients + bias_offset_;
  }
  part_.bind_parameters(parameters, gradients);
}

template <class T>
Matrix<const T> DenseLayer<T>::forward(const Pass<T>& pass, Matrix<const T> x) {
  const Matrix<T> y = {y_, x.rows, outputs_, outputs_};
  const Matrix<T> z = {z_, x.rows, outputs_, outputs_};
  if (part_.learned()) {
    pass.kernels.dense.forward(pass.context, x, weight(), bias_, part_.fused(), {nullptr, 0, 0, 0}, z);
    part_.forward(pass, as_const(z), y);
  } else {
    pass.kernels.dense.forward(pass.context, x, weight(), bias_, part_.fused(), z, y);
  }
  if (pass.recorder) pass.recorder->activation(pass, stage_, as_const(y));
  return as_const(y);
}

template <class T>
void DenseLayer<T>::backward(const Pass<T>& pass, Matrix<const T> x, Matrix<T> dy, Matrix<T> dx) {
  const Matrix<const T> y = {y_, x.rows, outputs_, outputs_};
  const Matrix<const T> z = {z_, x.rows, outputs_, outputs_};
  part_.backward(pass, stage_, z, y, dy);
  const Matrix<const T> delta = as_const(dy);
  pass.kernels.dense.backward_weight(pass.context, x, delta, {dweight_, inputs_, outputs_, outputs_});
  if (has_bias_) pass.kernels.dense.backward_bias(pass.context, delta, dbias_);
  if (dx.data) pass.kernels.dense.backward_input(pass.context, delta, weight(), dx);
}

template <class T>
void DenseLayer<T>::explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) {
  producer.operation = "dense_forward";
  producer.values = {{"x", measure(pass, x)}, {"weight", measure(pass, weight())}};
  if (has_bias_) producer.values.push_back({"bias", measure(pass, Matrix<const T>{bias_, 1, outputs_, outputs_})});
}

template class DenseLayer<float>;
template class DenseLayer<double>;

}  // namespace gradwell
