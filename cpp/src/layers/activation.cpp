#include "layers/activation.h"

#include <cstring>

namespace gradwell {

const char* activation_name(ActivationKind kind) {
  static const char* const names[] = {"identity", "sigmoid", "tanh",     "relu", "leaky_relu",
                                      "elu",      "selu",    "softplus", "silu", "gelu"};
  return names[static_cast<int>(kind)];
}

template <class T>
void ActivationPart<T>::forward(const Pass<T>& pass, Matrix<const T> z, Matrix<T> y) const {
  if (learned_) {
    pass.kernels.activation.prelu_forward(pass.context, z, slope_, y);
  } else {
    pass.kernels.activation.forward(pass.context, activation_, z, y);
  }
}

template <class T>
void ActivationPart<T>::record_forward(const Pass<T>& pass, int stage, Rows rows, Matrix<const T> z,
                                       Matrix<const T> y) const {
  if (!pass.recorder) return;
  pass.recorder->activation(pass, stage, rows, y);
  if (!learned_) pass.recorder->saturation(pass, stage, rows, derivative(z, y));
}

template <class T>
void ActivationPart<T>::backward(const Pass<T>& pass, int stage, Rows rows, Matrix<const T> z, Matrix<const T> y,
                                 Matrix<T> dy) const {
  if (pass.recorder && !is_identity()) pass.recorder->output_gradient(pass, stage, rows, as_const(dy));
  if (learned_) {
    pass.kernels.activation.prelu_backward(pass.context, as_const(dy), z, slope_, dy, dslope_);
  } else if (!is_identity()) {
    const Derivative<T> f = derivative(z, y);
    pass.kernels.activation.backward(pass.context, f.activation, f.which, as_const(dy), f.saved, dy);
  }
  if (pass.recorder) pass.recorder->error(pass, stage, rows, as_const(dy));
}

template <class T>
void ActivationLayer<T>::forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) {
  part_.forward(pass, rows_of(x, rows), this->y(rows));
  part_.record_forward(pass, this->stage_, rows, rows_of(x, rows), as_const(this->y(rows)));
}

template <class T>
void ActivationLayer<T>::backward_activation(const Pass<T>& pass, Matrix<const T> x, Rows rows) {
  part_.backward(pass, this->stage_, rows, rows_of(x, rows), as_const(this->y(rows)), this->error_rows(rows));
}

template <class T>
void ActivationLayer<T>::backward_input(const Pass<T>& pass, Matrix<const T>, Rows rows, Derivative<T> below,
                                        Matrix<T> dx) {
  const Matrix<T> from = this->error_rows(rows), to = rows_of(dx, rows);
  for (Index i = 0; i < rows.count; ++i)
    std::memcpy(to.data + i * to.stride, from.data + i * from.stride, sizeof(T) * static_cast<std::size_t>(to.columns));
  this->differentiate(pass, below, to);
}

template <class T>
void ActivationLayer<T>::explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) {
  producer.operation = "activation_forward";
  producer.values = {{"x", measure(pass, x)}};
}

template class ActivationPart<float>;
template class ActivationPart<double>;
template class ActivationLayer<float>;
template class ActivationLayer<double>;

}  // namespace gradwell
