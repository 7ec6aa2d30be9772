#include "layers/layernorm.h"

namespace gradwell {

template <class T>
void LayerNormLayer<T>::bind_memory(T* kept, Index batch, Index stride) {
  NormLayer<T>::bind_memory(kept, batch, stride);
  this->mean_ = Block<double>(batch);
  this->variance_ = Block<double>(batch);
}

template <class T>
void LayerNormLayer<T>::forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) {
  this->activated(pass, rows, [&](Activation f, Matrix<T> z, Matrix<T> y) {
    pass.kernels.layernorm.forward(pass.context, rows_of(x, rows), this->gamma_, this->beta_, this->settings_.epsilon,
                                   f, z, y, this->mean_.data() + rows.first, this->variance_.data() + rows.first);
  });
}

template <class T>
void LayerNormLayer<T>::backward_input(const Pass<T>& pass, Matrix<const T> x, Rows rows, Derivative<T> below,
                                       Matrix<T> dx) {
  const Matrix<T> to = rows_of(dx, rows);
  pass.kernels.layernorm.backward_input(pass.context, as_const(this->error_rows(rows)), rows_of(x, rows), this->gamma_,
                                        this->mean_.data() + rows.first, this->variance_.data() + rows.first,
                                        this->settings_.epsilon, to);
  this->differentiate(pass, below, to);
}

template <class T>
void LayerNormLayer<T>::backward_others(const Pass<T>& pass, Matrix<const T> x) {
  pass.kernels.layernorm.backward_parameters(pass.context, as_const(this->error(x.rows)), x, this->mean_.data(),
                                             this->variance_.data(), this->settings_.epsilon, this->dgamma_,
                                             this->dbeta_);
}

template <class T>
void LayerNormLayer<T>::explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) {
  this->explain("layernorm_forward", pass, x, producer);
}

template class LayerNormLayer<float>;
template class LayerNormLayer<double>;

}  // namespace gradwell
