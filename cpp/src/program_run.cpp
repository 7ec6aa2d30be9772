// One pass at a time: forward, backward, prediction, evaluation, one recorded gradient.
#include <algorithm>
#include <cstring>

#include "gradwell/check.h"
#include "layers/layer.h"
#include "program_lock.h"

namespace gradwell {
namespace {

template <class T>
void copy_rows(Matrix<const T> from, T* to) {
  const auto bytes = sizeof(T) * static_cast<std::size_t>(from.columns);
  for (Index i = 0; i < from.rows; ++i) std::memcpy(to + i * from.columns, from.data + i * from.stride, bytes);
}

template <class T>
Matrix<const T> rows_of(Matrix<const T> m, Index first, Index count) {
  return {m.data ? m.data + first * m.stride : nullptr, count, m.columns, m.stride};
}

}  // namespace

template <class T>
void Program<T>::forward(Context context, Matrix<const T> x, Matrix<T> y) {
  Lock lock(*this, context.flush_denormals);
  reserve(x.rows);
  kept_ = 0;
  copy_rows(x, input_);
  copy_rows(run_forward(context, {input_, x.rows, inputs_, inputs_}, nullptr), y.data);
  kept_ = x.rows;
}

template <class T>
void Program<T>::backward(Context context, Matrix<const T> dy, Matrix<T> dx) {
  Lock lock(*this, context.flush_denormals);
  check(kept_ == dy.rows, "backward", "dy has ", dy.rows, " rows but the last forward pass kept ", kept_,
        "; call forward first, with the same batch");
  copy_rows(dy, signal_[0]);
  run_backward(context, {signal_[0], dy.rows, outputs(), outputs()}, dx, nullptr);
}

template <class T>
void Program<T>::predict(Context context, Matrix<const T> x, Matrix<T> y, Index batch) {
  Lock lock(*this, context.flush_denormals);
  reserve(std::min(batch, x.rows));
  kept_ = 0;
  for (Index first = 0; first < x.rows; first += batch) {
    const Index count = std::min(batch, x.rows - first);
    copy_rows(run_forward(context, rows_of(x, first, count), nullptr), y.data + first * y.columns);
  }
}

template <class T>
LossResult Program<T>::evaluate(Context context, LossKind loss, const Samples<T>& samples, Index batch) {
  Lock lock(*this, context.flush_denormals);
  const Index rows = samples.x.rows;
  reserve(std::min(batch, rows));
  kept_ = 0;
  LossResult total = {0, 0};
  for (Index first = 0; first < rows; first += batch) {
    const Index count = std::min(batch, rows - first);
    const Matrix<const T> y = run_forward(context, rows_of(samples.x, first, count), nullptr);
    const Targets<T> targets = {samples.targets.classes ? samples.targets.classes + first : nullptr,
                                rows_of(samples.targets.values, first, count)};
    const LossResult part = kernels<T>().loss.evaluate(context, loss, y, targets, count, {nullptr, 0, 0, 0});
    total.sum += part.sum;
    total.correct += part.correct;
  }
  return total;
}

template <class T>
LossResult Program<T>::run_step(Context context, LossKind loss, const Samples<T>& samples, Recorder<T>* recorder) {
  const Index batch = samples.x.rows;
  const Matrix<const T> y = run_forward(context, samples.x, recorder);
  const Matrix<T> dy = {signal_[0], batch, outputs(), outputs()};
  const LossResult result = kernels<T>().loss.evaluate(context, loss, y, samples.targets, batch, dy);
  run_backward(context, dy, {nullptr, 0, 0, 0}, recorder);
  return result;
}

template <class T>
LossResult Program<T>::record_gradients(Context context, LossKind loss, const Samples<T>& samples, Record* record) {
  Lock lock(*this, context.flush_denormals);
  reserve(samples.x.rows);
  kept_ = 0;
  if (!record) return run_step(context, loss, samples, nullptr);
  Recorder<T> recorder(stages_, slices_.size(), samples.x.rows);  // this batch is the window
  recorder.begin(*record, 0);
  return run_step(context, loss, samples, &recorder);
}

#define GRADWELL_INSTANTIATE(T)                                                                 \
  template void Program<T>::forward(Context, Matrix<const T>, Matrix<T>);                       \
  template void Program<T>::backward(Context, Matrix<const T>, Matrix<T>);                      \
  template void Program<T>::predict(Context, Matrix<const T>, Matrix<T>, Index);                \
  template LossResult Program<T>::evaluate(Context, LossKind, const Samples<T>&, Index);        \
  template LossResult Program<T>::run_step(Context, LossKind, const Samples<T>&, Recorder<T>*); \
  template LossResult Program<T>::record_gradients(Context, LossKind, const Samples<T>&, Record*);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace gradwell
