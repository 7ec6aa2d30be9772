#include "layers/dropout.h"

namespace gradwell {

template <class T>
void DropoutLayer<T>::forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) {
  const DropoutKey key = {pass.mode.seed, pass.mode.step, static_cast<std::uint32_t>(this->stage_)};
  const double rate = pass.mode.training ? rate_ : 0.0;
  pass.kernels.dropout.forward(pass.context, rows_of(x, rows), rate, key, rows.first, mask(rows), this->y(rows));
  if (pass.recorder) pass.recorder->activation(pass, this->stage_, rows, as_const(this->y(rows)));
}

template <class T>
void DropoutLayer<T>::backward_activation(const Pass<T>& pass, Matrix<const T>, Rows rows) {
  if (pass.recorder) pass.recorder->error(pass, this->stage_, rows, as_const(this->error_rows(rows)));
}

template <class T>
void DropoutLayer<T>::backward_input(const Pass<T>& pass, Matrix<const T>, Rows rows, Derivative<T> below,
                                     Matrix<T> dx) {
  const Matrix<T> to = rows_of(dx, rows);
  pass.kernels.dropout.multiply(pass.context, as_const(this->error_rows(rows)), as_const(mask(rows)), to);
  this->differentiate(pass, below, to);
}

template <class T>
void DropoutLayer<T>::explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) {
  producer.operation = "dropout_forward";
  producer.values = {{"x", measure(pass, x)}};
}

template class DropoutLayer<float>;
template class DropoutLayer<double>;

}  // namespace gradwell
