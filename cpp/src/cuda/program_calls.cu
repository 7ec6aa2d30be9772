// Single calls: forward, backward, prediction, evaluation, one recorded gradient. They wait for the device.
#include <algorithm>

#include "cuda/program.h"
#include "cuda/run.h"

namespace gradwell {
namespace cuda {
namespace {

// The state of a pass outside a run of steps: what it finds is taken over.
RunState state_of(const Mode& mode) {
  RunState state = {};
  state.seed = mode.seed;
  state.first_step = static_cast<Index>(mode.step);
  state.goes = 1;
  return state;
}

}  // namespace

template <class T>
void CudaProgram<T>::forward(Matrix<const T> x, const Index* lengths, Matrix<T> y, Mode mode) {
  reserve(x.rows);
  kept_ = 0;
  set_state(state_of(mode));
  Samples<T> samples = {};
  samples.x = x;
  samples.lengths = lengths;
  const BatchOfSamples<T> batch = batch_.take(queue_, samples, 0, x.rows, false);
  const Pass<T> pass = {queue_, x.rows, mode.training, state_.data(), batch.lengths, nullptr};
  run_forward(pass, batch.x);
  for (const auto& stage : stages_) stage->commit(pass);
  const Matrix<T> output = stages_.back()->output(x.rows);
  copy(queue_, y, Matrix<const T>{output.data, x.rows, y.columns, y.columns});
  queue_.wait();
  kept_ = x.rows;
  kept_lengths_ = batch.lengths;
  kept_training_ = mode.training;
}

template <class T>
void CudaProgram<T>::backward(Matrix<const T> dy, Matrix<T> dx) {
  const Matrix<T> error = stages_.back()->error(dy.rows);
  copy(queue_, Matrix<T>{error.data, dy.rows, dy.columns, dy.columns}, dy);
  DeviceBlock<T> input_error(queue_, dx.rows * dx.columns);
  const Matrix<T> to = {input_error.data(), dx.rows, dx.columns, dx.columns};
  const Pass<T> pass = {queue_, dy.rows, kept_training_, state_.data(), kept_lengths_, nullptr};
  run_backward(pass, to);
  run_gradients(pass);
  copy(queue_, dx, as_const(to));
  queue_.wait();
}

template <class T>
void CudaProgram<T>::predict(Matrix<const T> x, const Index* lengths, Matrix<T> y, Index batch) {
  reserve(std::min(batch, x.rows));
  kept_ = 0;
  set_state(state_of({}));
  Samples<T> samples = {};
  samples.x = x;
  samples.lengths = lengths;
  for (Index first = 0; first < x.rows; first += batch) {
    const Index rows = std::min(batch, x.rows - first);
    const BatchOfSamples<T> some = batch_.take(queue_, samples, first, rows, false);
    run_forward({queue_, rows, false, state_.data(), some.lengths, nullptr}, some.x);
    const Matrix<T> output = stages_.back()->output(rows);
    copy(queue_, Matrix<T>{y.data + first * y.stride, rows, y.columns, y.stride},
         Matrix<const T>{output.data, rows, y.columns, y.columns});
  }
  queue_.wait();
}

template <class T>
LossResult CudaProgram<T>::evaluate(LossKind loss, const Samples<T>& samples, Index batch) {
  const Index count = samples.x.rows;
  reserve(std::min(batch, count));
  kept_ = 0;
  LossResult total = {0, 0, 0};
  const bool counts_steps = plan_.gives_sequences && samples.lengths;
  for (Index first = 0; first < count; first += batch) {
    const Index rows = std::min(batch, count - first);
    set_state(state_of({}));
    const BatchOfSamples<T> some = batch_.take(queue_, samples, first, rows, counts_steps);
    const Pass<T> pass = {queue_, rows, false, state_.data(), some.lengths, nullptr};
    run_forward(pass, some.x);
    run_loss(pass, loss, some);
    const RunState found = get_state();
    total.sum += found.loss;
    total.correct += static_cast<Index>(found.correct);
    total.counted += targets_of(samples, first, rows);
  }
  return total;
}

template <class T>
Index CudaProgram<T>::targets_of(const Samples<T>& samples, Index first, Index rows) const {
  if (!plan_.gives_sequences || !samples.lengths) return rows * plan_.output_steps;
  Index count = 0;
  for (Index b = first; b < first + rows; ++b) count += samples.lengths[b];
  return count;
}

template <class T>
LossResult CudaProgram<T>::record_gradients(LossKind loss, const Samples<T>& samples, Mode mode, Record* record) {
  const Index rows = samples.x.rows;
  reserve(rows);
  kept_ = 0;
  RunState state = state_of(mode);
  state.goes = 0;  // moments stay
  set_state(state);
  const auto recorder =
      record ? std::make_unique<CudaRecorder<T>>(queue_, plan_, rows) : nullptr;  // a window of its own
  const BatchOfSamples<T> batch = batch_.take(queue_, samples, 0, rows, plan_.gives_sequences && samples.lengths);
  const Pass<T> pass = {queue_, rows, mode.training, state_.data(), batch.lengths, recorder.get()};
  if (recorder) prepare_recorder(*recorder, rows, 1);
  run_forward(pass, batch.x);
  run_loss(pass, loss, batch);
  run_backward(pass, {nullptr, 0, 0, 0});
  run_gradients(pass);
  if (recorder) recorder->measure(queue_);
  const RunState found = get_state();
  if (recorder) {
    record->steps.push_back(0);
    recorder->finish(queue_, *record, 1, false);
  }
  return {found.loss, static_cast<Index>(found.correct), targets_of(samples, 0, rows)};
}

#define GRADWELL_INSTANTIATE(T)                                                           \
  template void CudaProgram<T>::forward(Matrix<const T>, const Index*, Matrix<T>, Mode);  \
  template void CudaProgram<T>::backward(Matrix<const T>, Matrix<T>);                     \
  template void CudaProgram<T>::predict(Matrix<const T>, const Index*, Matrix<T>, Index); \
  template LossResult CudaProgram<T>::evaluate(LossKind, const Samples<T>&, Index);       \
  template Index CudaProgram<T>::targets_of(const Samples<T>&, Index, Index) const;       \
  template LossResult CudaProgram<T>::record_gradients(LossKind, const Samples<T>&, Mode, Record*);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell
