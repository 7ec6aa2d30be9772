#include "layers/residual.h"

namespace gradwell {

template <class T>
void JointLayer<T>::bind_memory(T* kept, Index batch, Index stride) {
  const auto take = [&] {
    T* const start = kept;
    kept += batch * stride;
    return start;
  };
  this->stride_ = stride;
  this->error_ = shares_error() ? branch_->error(batch).data : take();
  this->y_ = in_place() ? const_cast<T*>(branch_->output(batch).data) : take();
  this->z_ = this->part_.keeps_input() ? take() : nullptr;
}

template <class T>
void JointLayer<T>::bind_parameters(T* parameters, T* gradients) {
  ActivatedLayer<T>::bind_parameters(parameters, gradients);
  if (!learned_) return;
  scale_ = parameters + scale_offset_;
  dscale_ = gradients + scale_offset_;
}

template <class T>
void JointLayer<T>::forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) {
  const Matrix<const T> skipped = rows_of(skip(pass, x.rows), rows);
  this->activated(pass, rows, [&](Activation f, Matrix<T> z, Matrix<T> y) {
    pass.kernels.residual.forward(pass.context, skipped, rows_of(x, rows), scale(), f, z, y);
  });
}

template <class T>
void JointLayer<T>::backward_input(const Pass<T>& pass, Matrix<const T>, Rows rows, Derivative<T>, Matrix<T> dx) {
  if (dx.data == this->error_) return;
  pass.kernels.residual.scaled(pass.context, as_const(this->error_rows(rows)), scale(), rows_of(dx, rows));
}

template <class T>
void JointLayer<T>::backward_others(const Pass<T>& pass, Matrix<const T> x) {
  if (learned_) *dscale_ = static_cast<T>(pass.kernels.residual.dot(pass.context, as_const(this->error(x.rows)), x));
}

template <class T>
void JointLayer<T>::explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) {
  producer.operation = "residual_forward";
  producer.values = {{"skip", measure(pass, skip(pass, x.rows))}, {"branch", measure(pass, x)}};
}

template class JointLayer<float>;
template class JointLayer<double>;

}  // namespace gradwell
