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
void ActivationPart<T>::backward(const Pass<T>& pass, int stage, Matrix<const T> z, Matrix<const T> y,
                                 Matrix<T> dy) const {
  const Saved which = keeps_input() ? Saved::input : Saved::output;
  const Matrix<const T> saved = keeps_input() ? z : y;
  if (pass.recorder) {
    pass.recorder->output_gradient(pass, stage, as_const(dy));
    if (!learned_) pass.recorder->saturation(pass, stage, activation_, which, saved);
  }
  if (learned_) {
    pass.kernels.activation.prelu_backward(pass.context, as_const(dy), z, slope_, dy, dslope_);
  } else if (!is_identity()) {
    pass.kernels.activation.backward(pass.context, activation_, which, as_const(dy), saved, dy);
  }
  if (pass.recorder) pass.recorder->error(pass, stage, as_const(dy));
}

template <class T>
void ActivationLayer<T>::bind_memory(T* kept, Index) {
  y_ = kept;
}

template <class T>
Matrix<const T> ActivationLayer<T>::forward(const Pass<T>& pass, Matrix<const T> x) {
  const Matrix<T> y = {y_, x.rows, units_, units_};
  part_.forward(pass, x, y);
  if (pass.recorder) pass.recorder->activation(pass, stage_, as_const(y));
  return as_const(y);
}

template <class T>
void ActivationLayer<T>::backward(const Pass<T>& pass, Matrix<const T> x, Matrix<T> dy, Matrix<T> dx) {
  part_.backward(pass, stage_, x, {y_, x.rows, units_, units_}, dy);
  if (dx.data) std::memcpy(dx.data, dy.data, sizeof(T) * static_cast<std::size_t>(dy.rows * dy.columns));
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
