#include "layers/embedding.h"

#include <algorithm>

namespace gradwell {

// Tokens are checked where they come in; anything else here would read beyond the table.
template <class T>
Index EmbeddingLayer<T>::token(T value) const {
  return value >= T(0) && value < static_cast<T>(tokens_) ? static_cast<Index>(value) : 0;
}

template <class T>
void EmbeddingLayer<T>::begin(const Pass<T>& pass, Index batch) {
  batch_ = batch;
  x_ = pass.input;
}

template <class T>
void EmbeddingLayer<T>::forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) {
  const Matrix<T> to = this->y(rows);
  for (Index b = 0; b < rows.count; ++b)
    for (Index t = 0; t < x.columns; ++t)
      std::copy_n(weight_ + token(x.data[(rows.first + b) * x.stride + t]) * units_, units_,
                  to.data + b * to.stride + t * units_);
  if (pass.recorder) pass.recorder->activation(pass, this->stage_, rows, as_const(to));
}

template <class T>
void EmbeddingLayer<T>::backward_activation(const Pass<T>& pass, Matrix<const T>, Rows rows) {
  if (pass.recorder) pass.recorder->error(pass, this->stage_, rows, as_const(this->error_rows(rows)));
}

// Tokens have no gradient.
template <class T>
void EmbeddingLayer<T>::backward_input(const Pass<T>&, Matrix<const T>, Rows rows, Derivative<T>, Matrix<T> dx) {
  for (Index b = rows.first; b < rows.first + rows.count; ++b) std::fill_n(dx.data + b * dx.stride, dx.columns, T(0));
}

// In the order of rows and steps. Of a row of the table that many steps used the sum is kept in T.
template <class T>
void EmbeddingLayer<T>::make_sums(const Pass<T>&) {
  std::fill_n(dweight_, tokens_ * units_, T(0));
  const Matrix<T> error = this->error(batch_);
  for (Index b = 0; b < batch_; ++b)
    for (Index t = 0; t < x_.columns; ++t) {
      const T* const from = error.data + b * error.stride + t * units_;
      T* const to = dweight_ + token(x_.data[b * x_.stride + t]) * units_;
      for (Index j = 0; j < units_; ++j) to[j] += from[j];
    }
}

template <class T>
void EmbeddingLayer<T>::explain_forward(const Pass<T>& pass, Matrix<const T>, Producer& producer) {
  producer.operation = "embedding_forward";
  producer.values = {{"weight", measure(pass, Matrix<const T>{weight_, tokens_, units_, units_})}};
}

template class EmbeddingLayer<float>;
template class EmbeddingLayer<double>;

}  // namespace gradwell
