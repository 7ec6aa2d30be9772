// One pass at a time: forward, backward, prediction, evaluation, one recorded gradient.
#include <algorithm>
#include <cstring>

#include "core/team.h"
#include "gradwell/check.h"
#include "layers/layer.h"
#include "program_device.h"

namespace gradwell {
namespace {

template <class T>
void copy_rows(Matrix<const T> from, Matrix<T> to) {
  const auto bytes = sizeof(T) * static_cast<std::size_t>(from.columns);
  for (Index i = 0; i < from.rows; ++i) std::memcpy(to.data + i * to.stride, from.data + i * from.stride, bytes);
}

}  // namespace

template <class T>
void Program<T>::forward(Context context, Matrix<const T> x, const Index* lengths, Matrix<T> y, Mode mode) {
  Lock lock(*this, context.flush_denormals);
  mode.carries = mode.goes_back = true;
  if (device_) {
    kept_ = 0;
    on_device(true, [&](DeviceProgram<T>& d) { d.forward(x, lengths, y, mode); });
    kept_ = x.rows;
    return;
  }
  reserve(x.rows);
  kept_ = 0;
  const Matrix<T> input = {input_, x.rows, inputs_, input_stride_};
  copy_rows(x, input);
  if (lengths) std::copy_n(lengths, x.rows, lengths_.data());
  const Index* const counts = lengths ? lengths_.data() : nullptr;
  on_threads(context, work_between_meetings(x.rows), [&](Context c) { run_forward(c, as_const(input), counts, mode); });
  copy_rows(layers_.back()->output(x.rows), y);
  for (auto& layer : layers_) layer->commit();
  kept_ = x.rows;
}

template <class T>
void Program<T>::backward(Context context, Matrix<const T> dy, Matrix<T> dx) {
  Lock lock(*this, context.flush_denormals);
  check(kept_ == dy.rows, "backward", "dy has ", dy.rows, " rows but the last forward pass kept ", kept_,
        "; call forward first, with the same batch");
  if (device_) return on_device(true, [&](DeviceProgram<T>& d) { d.backward(dy, dx); });
  const Rows all = {0, dy.rows};
  copy_rows(dy, layers_.back()->error(dy.rows));
  bounds_.resize(2 * layers_.size());
  on_threads(context, work_between_meetings(dy.rows), [&](Context c) {
    const Pass<T> pass = {c, kernels<T>(), nullptr, {}, x_, x_lengths_};
    backward_rows(pass, dy.rows, all, 0, dx);
    make_sums(pass);
    run_parameters(c, dy.rows, nullptr);
  });
}

template <class T>
void Program<T>::predict(Context context, Matrix<const T> x, const Index* lengths, Matrix<T> y, Index batch) {
  Lock lock(*this, context.flush_denormals);
  kept_ = 0;
  if (device_) return on_device(false, [&](DeviceProgram<T>& d) { d.predict(x, lengths, y, batch); });
  reserve(std::min(batch, x.rows));
  on_threads(context, work_between_meetings(capacity_), [&](Context c) {
    for (Index first = 0; first < x.rows; first += batch) {
      const Rows rows = {first, std::min(batch, x.rows - first)};
      run_forward(c, rows_of(x, rows), lengths ? lengths + first : nullptr, {});
      copy_rows(layers_.back()->output(rows.count), rows_of(y, rows));
    }
  });
}

template <class T>
LossResult Program<T>::evaluate(Context context, LossKind loss, const Samples<T>& samples, Index batch) {
  Lock lock(*this, context.flush_denormals);
  kept_ = 0;
  if (device_) return on_device(false, [&](DeviceProgram<T>& d) { return d.evaluate(loss, samples, batch); });
  const Index count = samples.x.rows;
  reserve(std::min(batch, count));
  LossResult total = {0, 0};
  on_threads(context, work_between_meetings(capacity_), [&](Context c) {
    for (Index first = 0; first < count; first += batch) {
      const Rows rows = {first, std::min(batch, count - first)};
      const Index* const lengths = samples.lengths ? samples.lengths + first : nullptr;
      const Index* const classes = samples.targets.classes;
      const Samples<T> some = {
          rows_of(samples.x, rows),
          {classes ? classes + first * output_steps_ : nullptr, rows_of(samples.targets.values, rows)},
          lengths};
      run_forward(c, some.x, lengths, {});
      const Pass<T> pass = {c, kernels<T>(), nullptr, {}, some.x, lengths};
      const Index correct = evaluate_rows(pass, loss, some, 1, {0, rows.count}, {nullptr, 0, outputs(), outputs()});
      const LossResult part = add_costs(rows.count * output_steps_, correct);
      total.sum += part.sum;
      total.correct += part.correct;
      total.counted += targets_of(some);
    }
  });
  return total;
}

template <class T>
LossResult Program<T>::record_gradients(Context context, LossKind loss, const Samples<T>& samples, Mode mode,
                                        Record* record) {
  Lock lock(*this, context.flush_denormals);
  kept_ = 0;
  mode.goes_back = true;
  if (device_)
    return on_device(true, [&](DeviceProgram<T>& d) { return d.record_gradients(loss, samples, mode, record); });
  reserve(samples.x.rows);
  const auto recorder = record ? make_recorder(samples.x.rows) : nullptr;  // this batch is the window
  if (recorder) recorder->begin(*record, 0, samples.x.rows);
  LossResult result = {0, 0};
  on_threads(context, work_between_meetings(samples.x.rows), [&](Context c) {
    result = run_rows(c, loss, samples, mode, recorder.get());
    run_parameters(c, samples.x.rows, recorder.get());
    if (recorder) recorder->finish(c, false);
  });
  return result;
}

#define GRADWELL_INSTANTIATE(T)                                                                \
  template void Program<T>::forward(Context, Matrix<const T>, const Index*, Matrix<T>, Mode);  \
  template void Program<T>::backward(Context, Matrix<const T>, Matrix<T>);                     \
  template void Program<T>::predict(Context, Matrix<const T>, const Index*, Matrix<T>, Index); \
  template LossResult Program<T>::evaluate(Context, LossKind, const Samples<T>&, Index);       \
  template LossResult Program<T>::record_gradients(Context, LossKind, const Samples<T>&, Mode, Record*);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace gradwell
