// One pass at a time: forward, backward, prediction, evaluation, one recorded gradient.
#include <algorithm>
#include <cstring>

#include "core/team.h"
#include "gradwell/check.h"
#include "layers/layer.h"
#include "program_lock.h"

namespace gradwell {
namespace {

template <class T>
void copy_rows(Matrix<const T> from, Matrix<T> to) {
  const auto bytes = sizeof(T) * static_cast<std::size_t>(from.columns);
  for (Index i = 0; i < from.rows; ++i) std::memcpy(to.data + i * to.stride, from.data + i * from.stride, bytes);
}

}  // namespace

template <class T>
void Program<T>::forward(Context context, Matrix<const T> x, Matrix<T> y, Mode mode) {
  Lock lock(*this, context.flush_denormals);
  reserve(x.rows);
  kept_ = 0;
  const Matrix<T> input = {input_, x.rows, inputs_, input_stride_};
  copy_rows(x, input);
  on_threads(context, work_between_meetings(x.rows), [&](Context c) { run_forward(c, as_const(input), mode); });
  copy_rows(layers_.back()->output(x.rows), y);
  for (auto& layer : layers_)
    if (mode.training) layer->commit();
  kept_ = x.rows;
}

template <class T>
void Program<T>::backward(Context context, Matrix<const T> dy, Matrix<T> dx) {
  Lock lock(*this, context.flush_denormals);
  check(kept_ == dy.rows, "backward", "dy has ", dy.rows, " rows but the last forward pass kept ", kept_,
        "; call forward first, with the same batch");
  const Rows all = {0, dy.rows};
  copy_rows(dy, layers_.back()->error(dy.rows));
  bounds_.resize(2 * layers_.size());
  on_threads(context, work_between_meetings(dy.rows), [&](Context c) {
    backward_rows({c, kernels<T>(), nullptr, {}, x_}, dy.rows, all, 0, dx);
    run_parameters(c, dy.rows, nullptr);
  });
}

template <class T>
void Program<T>::predict(Context context, Matrix<const T> x, Matrix<T> y, Index batch) {
  Lock lock(*this, context.flush_denormals);
  reserve(std::min(batch, x.rows));
  kept_ = 0;
  on_threads(context, work_between_meetings(capacity_), [&](Context c) {
    for (Index first = 0; first < x.rows; first += batch) {
      const Rows rows = {first, std::min(batch, x.rows - first)};
      run_forward(c, rows_of(x, rows), {});
      copy_rows(layers_.back()->output(rows.count), rows_of(y, rows));
    }
  });
}

template <class T>
LossResult Program<T>::evaluate(Context context, LossKind loss, const Samples<T>& samples, Index batch) {
  Lock lock(*this, context.flush_denormals);
  const Index count = samples.x.rows;
  reserve(std::min(batch, count));
  kept_ = 0;
  LossResult total = {0, 0};
  on_threads(context, work_between_meetings(capacity_), [&](Context c) {
    for (Index first = 0; first < count; first += batch) {
      const Rows rows = {first, std::min(batch, count - first)};
      run_forward(c, rows_of(samples.x, rows), {});
      const Targets<T> targets = {samples.targets.classes ? samples.targets.classes + first : nullptr,
                                  rows_of(samples.targets.values, rows)};
      const Index correct = kernels<T>().loss.evaluate(c, loss, layers_.back()->output(rows.count), targets, rows.count,
                                                       {nullptr, 0, 0, 0}, costs_.data());
      const LossResult part = add_costs(rows.count, correct);
      total.sum += part.sum;
      total.correct += part.correct;
    }
  });
  return total;
}

template <class T>
LossResult Program<T>::record_gradients(Context context, LossKind loss, const Samples<T>& samples, Mode mode,
                                        Record* record) {
  Lock lock(*this, context.flush_denormals);
  reserve(samples.x.rows);
  kept_ = 0;
  const auto recorder = record ? make_recorder(samples.x.rows) : nullptr;  // this batch is the window
  if (recorder) recorder->begin(*record, 0, samples.x.rows);
  LossResult result;
  on_threads(context, work_between_meetings(samples.x.rows), [&](Context c) {
    result = run_rows(c, loss, samples, mode, recorder.get());
    run_parameters(c, samples.x.rows, recorder.get());
    if (recorder) recorder->finish(c, false);
  });
  return result;
}

#define GRADWELL_INSTANTIATE(T)                                                          \
  template void Program<T>::forward(Context, Matrix<const T>, Matrix<T>, Mode);          \
  template void Program<T>::backward(Context, Matrix<const T>, Matrix<T>);               \
  template void Program<T>::predict(Context, Matrix<const T>, Matrix<T>, Index);         \
  template LossResult Program<T>::evaluate(Context, LossKind, const Samples<T>&, Index); \
  template LossResult Program<T>::record_gradients(Context, LossKind, const Samples<T>&, Mode, Record*);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace gradwell
