#include "layers/residual.h"

#include <algorithm>

namespace gradwell {

template <class T>
void JointLayer<T>::bind_memory(T* kept, Index batch, Index stride) {
  const auto take = [&] {
    T* const start = kept;
    kept += batch * stride;
    return start;
  };
  this->stride_ = stride;
  this->error_ = branch_->error(batch).data;
  this->y_ = in_place() ? const_cast<T*>(branch_->output(batch).data) : take();
  this->z_ = this->part_.keeps_input() ? take() : nullptr;
  if (learned_) products_ = Block<double>((batch + part_rows - 1) / part_rows);
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
void JointLayer<T>::backward_input(const Pass<T>& pass, Matrix<const T> x, Rows rows, Derivative<T>, Matrix<T>) {
  const Matrix<T> error = this->error_rows(rows);
  for (Index row = 0; learned_ && row < rows.count; row += part_rows) {
    const Rows group = {row, std::min(part_rows, rows.count - row)};
    products_.data()[(rows.first + row) / part_rows] =
        pass.kernels.residual.dot(pass.context, as_const(rows_of(error, group)), rows_of(rows_of(x, rows), group));
  }
  if (scale() != T(1)) pass.kernels.residual.scaled(pass.context, as_const(error), scale(), error);
}

template <class T>
void JointLayer<T>::backward_others(const Pass<T>&, Matrix<const T> x) {
  if (!learned_) return;
  double sum = 0;
  for (Index group = 0; group < (x.rows + part_rows - 1) / part_rows; ++group) sum += products_.data()[group];
  *dscale_ = static_cast<T>(sum);
}

template <class T>
void JointLayer<T>::explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) {
  producer.operation = "residual_forward";
  producer.values = {{"skip", measure(pass, skip(pass, x.rows))}, {"branch", measure(pass, x)}};
}

template class JointLayer<float>;
template class JointLayer<double>;

}  // namespace gradwell
