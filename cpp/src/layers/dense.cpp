#include "layers/dense.h"

namespace gradwell {
namespace {

// A block of the weight is about this many numbers: a quarter of a megabyte in float32, to be measured and stepped
// while it is in the cache. A whole number of register tiles (42 rows are 3 of 14, 7 of 6).
constexpr Index block_numbers = 65536;
constexpr Index block_rows = 42;

// The columns of x that meet `rows` of the weight.
template <class T>
Matrix<const T> columns_of(Matrix<const T> x, Rows rows) {
  return {x.data + rows.first, x.rows, rows.count, x.stride};
}

}  // namespace

template <class T>
DenseLayer<T>::DenseLayer(int stage, const std::vector<Slice>& slices, std::size_t weight, int bias,
                          ActivationPart<T> part)
    : ActivatedLayer<T>(stage, slices[weight].rows, slices[weight].columns, part),
      weight_slice_(weight),
      weight_offset_(slices[weight].offset),
      bias_offset_(bias < 0 ? 0 : slices[static_cast<std::size_t>(bias)].offset),
      has_bias_(bias >= 0) {}

template <class T>
void DenseLayer<T>::bind_parameters(T* parameters, T* gradients) {
  weight_ = parameters + weight_offset_;
  dweight_ = gradients + weight_offset_;
  if (has_bias_) {
    bias_ = parameters + bias_offset_;
    dbias_ = gradients + bias_offset_;
  }
  ActivatedLayer<T>::bind_parameters(parameters, gradients);
}

template <class T>
void DenseLayer<T>::forward(const Pass<T>& pass, Matrix<const T> x, Rows rows) {
  this->activated(pass, rows, [&](Activation f, Matrix<T> z, Matrix<T> y) {
    pass.kernels.dense.forward(pass.context, rows_of(x, rows), as_const(weight()), bias_, f, z, y);
  });
}

template <class T>
void DenseLayer<T>::backward_input(const Pass<T>& pass, Matrix<const T>, Rows rows, Derivative<T> below, Matrix<T> dx) {
  pass.kernels.dense.backward_input(pass.context, as_const(this->error_rows(rows)), as_const(weight()), below,
                                    rows_of(dx, rows));
}

template <class T>
Index DenseLayer<T>::weight_rows() const {
  const Index fit = block_numbers / this->outputs_;
  return fit >= this->inputs_ ? this->inputs_ : (fit > block_rows ? fit / block_rows * block_rows : block_rows);
}

template <class T>
void DenseLayer<T>::backward_parameters(const Pass<T>& pass, Matrix<const T> x, Rows rows) {
  const Matrix<T> block = rows_of(dweight(), rows);
  pass.kernels.dense.backward_weight(pass.context, columns_of(x, rows), as_const(this->error(x.rows)), block);
  if (pass.recorder)
    pass.recorder->gradient(pass, weight_slice_, rows.first / weight_rows(), as_const(as_one_row(block)));
}

template <class T>
void DenseLayer<T>::update_weight(const Pass<T>& pass, Matrix<const T> x, Rows rows, Sgd sgd) {
  pass.kernels.dense.update_weight(pass.context, columns_of(x, rows), as_const(this->error(x.rows)), sgd,
                                   rows_of(weight(), rows));
}

template <class T>
void DenseLayer<T>::backward_others(const Pass<T>& pass, Matrix<const T> x) {
  if (has_bias_) pass.kernels.dense.backward_bias(pass.context, as_const(this->error(x.rows)), dbias_);
}

template <class T>
void DenseLayer<T>::explain_forward(const Pass<T>& pass, Matrix<const T> x, Producer& producer) {
  producer.operation = "dense_forward";
  producer.values = {{"x", measure(pass, x)}, {"weight", measure(pass, as_const(weight()))}};
  if (has_bias_)
    producer.values.push_back({"bias", measure(pass, Matrix<const T>{bias_, 1, this->outputs_, this->outputs_})});
}

template class DenseLayer<float>;
template class DenseLayer<double>;

}  // namespace gradwell
