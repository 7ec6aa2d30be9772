// The step loop.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "core/team.h"
#include "gradwell/check.h"
#include "layers/layer.h"
#include "program_device.h"

namespace gradwell {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool consecutive(const Index* order, Index count) {
  for (Index i = 1; i < count; ++i)
    if (order[i] != order[0] + i) return false;
  return true;
}

}  // namespace

// A batch whose samples lie one after the other is read where it lies.
template <class T>
void Program<T>::gather(const Samples<T>& samples, const Index* order, Index count, Samples<T>* batch) {
  const Matrix<const T>& values = samples.targets.values;
  if (consecutive(order, count)) {
    const Rows rows = {order[0], count};
    const Index* const classes = samples.targets.classes;
    *batch = {rows_of(samples.x, rows),
              {classes ? classes + order[0] * output_steps_ : nullptr, rows_of(values, rows)},
              samples.lengths ? samples.lengths + order[0] : nullptr};
    return;
  }
  const auto bytes = sizeof(T) * static_cast<std::size_t>(inputs_);
  for (Index i = 0; i < count; ++i)
    std::memcpy(input_ + i * input_stride_, samples.x.data + order[i] * samples.x.stride, bytes);
  batch->x = {input_, count, inputs_, input_stride_};
  if (samples.lengths) {
    for (Index i = 0; i < count; ++i) lengths_.data()[i] = samples.lengths[order[i]];
    batch->lengths = lengths_.data();
  }
  if (samples.targets.classes) {
    for (Index i = 0; i < count; ++i)
      std::copy_n(samples.targets.classes + order[i] * output_steps_, output_steps_,
                  classes_.data() + i * output_steps_);
    batch->targets = {classes_.data(), {nullptr, 0, 0, 0}};
    return;
  }
  for (Index i = 0; i < count; ++i)
    std::memcpy(target_ + i * outputs(), values.data + order[i] * values.stride,
                sizeof(T) * static_cast<std::size_t>(outputs()));
  batch->targets = {nullptr, {target_, count, outputs(), outputs()}};
}

template <class T>
void Program<T>::look_ahead(const Samples<T>& samples, const Index* order, Index count) {
  constexpr Index most = 131072;  // bytes; more would push out what this step works on
  const bool worth = count * inputs_ * static_cast<Index>(sizeof(T)) <= most && !consecutive(order, count);
  samples_ = samples.x;
  ahead_ = {order, worth ? count : 0, 0, 0};
}

template <class T>
void Program<T>::train_steps(Context context, const TrainPlan& plan, const Samples<T>& samples, const Index* order,
                             Index count, Record* record, TrainResult* result) {
  const Index steps = count / plan.batch + (count % plan.batch != 0);
  const bool recording = record && plan.record_every > 0;
  result->losses.reserve(static_cast<std::size_t>(steps));
  result->counts.reserve(static_cast<std::size_t>(steps));
  if (plan.clip.kind != ClipKind::none) result->clips.reserve(static_cast<std::size_t>(steps));
  if (recording) {
    recorder_->prepare(std::min(plan.batch, count));
    recorder_->reserve(*record, static_cast<std::size_t>(steps / plan.record_every + 1));
  }
  double bound = largest_in(context, parameters_.data());
  velocity_bound_ = states() > 0 ? largest_in(context, states_[0].data()) : 0;
  ahead_ = {};
  for (Index step = 0; step < steps; ++step) {
    const auto start = Clock::now();
    const Index first = step * plan.batch;
    const Index rows = std::min(plan.batch, count - first);
    const Index number = plan.first_step + step;
    Recorder<T>* recorder = recording && number % plan.record_every == 0 ? recorder_.get() : nullptr;
    if (recorder) recorder->begin(*record, number, rows);
    Samples<T> batch;
    gather(samples, order + first, rows, &batch);
    if (!context.team) look_ahead(samples, order + first + rows, std::min(plan.batch, count - first - rows));
    LossResult loss = {0, 0};
    ClipEntry clipped = {0, 0, -1};
    result->fault = run_step(context, plan, batch, step, recorder, &bound, &loss, &clipped);
    if (result->fault != Fault::none) break;  // the record of this step stays: it shows the fault
    if (plan.clip.kind != ClipKind::none) result->clips.push_back(clipped);
    result->losses.push_back(loss.sum / static_cast<double>(std::max<Index>(loss.counted, 1)));
    result->counts.push_back(loss.counted);
    result->correct += loss.correct;
    result->samples += loss.counted;
    (recorder ? result->recorded_seconds : result->plain_seconds) += seconds_since(start);
    ++(recorder ? result->recorded_steps : result->plain_steps);
  }
  ahead_ = {};
}

template <class T>
TrainResult Program<T>::train(Context context, const TrainPlan& plan, const Samples<T>& samples, const Index* order,
                              Index count, Record* record) {
  Lock lock(*this, context.flush_denormals);
  kept_ = 0;
  if (device_) {
    clipper_.set(plan.clip);
    const StepMemory memory = {updates_, [this](double norm) { return clipper_.allowed(norm); }};
    TrainResult result =
        on_device(true, [&](DeviceProgram<T>& d) { return d.train(plan, samples, order, count, memory, record); });
    updates_ += static_cast<Index>(result.losses.size());
    return result;
  }
  reserve(std::min(plan.batch, count));
  TrainResult result;
  on_threads(context, work_between_meetings(std::min(plan.batch, count)),
             [&](Context c) { train_steps(c, plan, samples, order, count, record, &result); });
  return result;
}

template <class T>
ClipEntry Program<T>::update(Context context, const StepRule& step, const ClipPlan& plan) {
  Lock lock(*this, context.flush_denormals);
  fetch();  // what is in the gradient block is small work, done here
  host_newer_ = true;
  StepRule rule = step;
  rule.correction1 = 1 - std::pow(rule.momentum, static_cast<double>(updates_ + 1));
  rule.correction2 = 1 - std::pow(rule.decay, static_cast<double>(updates_ + 1));
  const double steepest = largest_in(context, gradients_.data());
  const double most = largest_in(context, parameters_.data());
  const bool heavy = rule.kind == OptimizerKind::momentum || rule.kind == OptimizerKind::nesterov;
  const double velocity = heavy ? largest_in(context, states_[0].data()) : 0;
  const auto fault_of = [&](double gradient, double* bound) {
    *bound = most;
    velocity_bound_ = velocity;
    return check_step(context, gradient, rule, bound);
  };
  double bound = 0;
  check(fault_of(steepest, &bound) != Fault::gradient, "update",
        "the gradient has a NaN or an infinity, or its square would overflow; no parameter was changed");
  const bool clips = plan.kind != ClipKind::none;
  const ClipEntry entry = clips ? clip(context, plan) : ClipEntry{0, 0, -1};
  const Fault fault = fault_of(clips ? std::fmin(steepest, entry.after) : steepest, &bound);
  check(fault != Fault::update, "update", "the step of learning_rate ", rule.learning_rate, " from parameters up to ",
        most, " would overflow; no parameter was changed");
  kept_ = 0;
  on_threads(context, static_cast<double>(size_), [&](Context c) { step_parameters(c, 0, rule, nullptr, true); });
  std::fill(slice_scales_.begin(), slice_scales_.end(), 1.0);
  ++updates_;
  return entry;
}

#define GRADWELL_INSTANTIATE(T)                                                          \
  template ClipEntry Program<T>::update(Context, const StepRule&, const ClipPlan&);      \
  template void Program<T>::gather(const Samples<T>&, const Index*, Index, Samples<T>*); \
  template TrainResult Program<T>::train(Context, const TrainPlan&, const Samples<T>&, const Index*, Index, Record*);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace gradwell
