// The step loop, and the replay that names what made a value non-finite.
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>

#include "gradwell/check.h"
#include "layers/layer.h"
#include "program_lock.h"

namespace gradwell {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

template <class T>
void Program<T>::gather(const Samples<T>& samples, const Index* order, Index count) {
  const auto bytes = sizeof(T) * static_cast<std::size_t>(inputs_);
  for (Index i = 0; i < count; ++i)
    std::memcpy(input_ + i * inputs_, samples.x.data + order[i] * samples.x.stride, bytes);
  if (samples.targets.classes) {
    for (Index i = 0; i < count; ++i) classes_.data()[i] = samples.targets.classes[order[i]];
    return;
  }
  const Matrix<const T>& values = samples.targets.values;
  for (Index i = 0; i < count; ++i)
    std::memcpy(target_ + i * outputs(), values.data + order[i] * values.stride,
                sizeof(T) * static_cast<std::size_t>(outputs()));
}

template <class T>
Samples<T> Program<T>::gathered(const Samples<T>& samples, Index count) const {
  Samples<T> batch = {{input_, count, inputs_, inputs_}, {classes_.data(), {nullptr, 0, 0, 0}}};
  if (!samples.targets.classes) batch.targets = {nullptr, {target_, count, outputs(), outputs()}};
  return batch;
}

template <class T>
double Program<T>::largest(Context context, const T* block, const Slice& slice) const {
  return kernels<T>().statistics.largest(context, block + slice.offset, slice.size());
}

template <class T>
double Program<T>::largest_parameter(Context context) const {
  double most = 0;
  for (const Slice& slice : slices_) {
    const double size = largest(context, parameters_.data(), slice);
    if (!(size <= most)) most = size;  // NaN stays
    if (std::isnan(most)) break;
  }
  return most;
}

// The gradient block is finite only where every error signal was: a NaN or an infinity in one of them makes
// the weight gradient of its layer NaN or infinite too. `bound` is kept above every |parameter|: the step makes
// of it keep * bound + rate * |gradient|, and only when that nears the end of the format are they looked at.
template <class T>
Fault Program<T>::check_step(Context context, const LossResult& loss, Sgd sgd, double* bound) const {
  if (!std::isfinite(loss.sum)) return Fault::loss;
  double steepest = 0;
  for (const Slice& slice : slices_) {
    const double size = largest(context, gradients_.data(), slice);
    if (!std::isfinite(size)) return Fault::gradient;
    steepest = size > steepest ? size : steepest;
  }
  const double limit = 0.5 * static_cast<double>(std::numeric_limits<T>::max());
  const double keep = std::fabs(1.0 - sgd.learning_rate * (sgd.weight_decay + sgd.l2));
  const auto after = [&] {  // the rate as the kernel rounds it: one too large for T is infinite, 0 times it NaN
    return (keep > 1 ? keep : 1.0) * *bound + static_cast<double>(static_cast<T>(sgd.learning_rate)) * steepest;
  };
  if (!(after() < limit)) *bound = largest_parameter(context);
  if (!(after() < limit)) return Fault::update;
  *bound = after();
  return Fault::none;
}

template <class T>
void Program<T>::update_parameters(Context context, Sgd sgd, Recorder<T>* recorder) {
  for (std::size_t i = 0; i < slices_.size(); ++i) {
    const Slice& slice = slices_[i];
    const Sgd rule = {sgd.learning_rate, slice.decays ? sgd.weight_decay : 0, slice.decays ? sgd.l2 : 0};
    T* parameter = parameters_.data() + slice.offset;
    const T* gradient = gradients_.data() + slice.offset;
    if (recorder) {
      recorder->step(i, kernels<T>().sgd.update_recorded(context, rule, parameter, gradient, slice.size()));
    } else {
      kernels<T>().sgd.update(context, rule, parameter, gradient, slice.size());
    }
  }
}

template <class T>
void Program<T>::update(Context context, Sgd sgd) {
  Lock lock(*this, context.flush_denormals);
  double bound = largest_parameter(context);
  const Fault fault = check_step(context, {0, 0}, sgd, &bound);
  check(fault != Fault::gradient, "update", "the gradient has a NaN or an infinity; no parameter was changed");
  check(fault != Fault::update, "update", "the step of learning_rate ", sgd.learning_rate, " from parameters up to ",
        bound, " would overflow; no parameter was changed");
  kept_ = 0;
  update_parameters(context, sgd, nullptr);
}

template <class T>
TrainResult Program<T>::train(Context context, const TrainPlan& plan, const Samples<T>& samples, const Index* order,
                              Index count, Record* record) {
  Lock lock(*this, context.flush_denormals);
  reserve(std::min(plan.batch, count));
  kept_ = 0;
  TrainResult result;
  const Index steps = count / plan.batch + (count % plan.batch != 0);
  const bool recording = record && plan.record_every > 0;
  result.losses.reserve(static_cast<std::size_t>(steps));
  if (recording) recorder_->reserve(*record, static_cast<std::size_t>(steps / plan.record_every + 1));
  double bound = largest_parameter(context);
  for (Index step = 0; step < steps; ++step) {
    const auto start = Clock::now();
    const Index first = step * plan.batch;
    const Index rows = std::min(plan.batch, count - first);
    const Index number = plan.first_step + step;
    Recorder<T>* recorder = recording && number % plan.record_every == 0 ? recorder_.get() : nullptr;
    gather(samples, order + first, rows);
    if (recorder) recorder->begin(*record, number);
    const LossResult loss = run_step(context, plan.loss, gathered(samples, rows), recorder);
    result.fault = check_step(context, loss, plan.sgd, &bound);
    if (result.fault != Fault::none) break;  // the record of this step stays: it shows the fault
    update_parameters(context, plan.sgd, recorder);
    result.losses.push_back(loss.sum / static_cast<double>(rows));
    result.correct += loss.correct;
    result.samples += rows;
    (recorder ? result.recorded_seconds : result.plain_seconds) += seconds_since(start);
    ++(recorder ? result.recorded_steps : result.plain_steps);
  }
  return result;
}

template <class T>
Producer Program<T>::find_producer(Context context, const TrainPlan& plan, const Samples<T>& samples,
                                   const Index* order, Index count) {
  Lock lock(*this, context.flush_denormals);
  reserve(count);
  kept_ = 0;
  gather(samples, order, count);
  const Pass<T> pass = {context, kernels<T>(), nullptr};
  const Samples<T> batch = gathered(samples, count);
  Producer producer;
  Matrix<const T> x = batch.x;
  if (!is_finite(measure(pass, x))) return {"input", 0, "gather", {{"x", measure(pass, x)}}};
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    layer_inputs_[i] = x;
    producer.stage = static_cast<int>(i);
    layers_[i]->explain_forward(pass, x, producer);
    x = layers_[i]->forward(pass, x);
    producer.phase = "forward";
    producer.values.push_back({"output", measure(pass, x)});
    for (const auto& value : producer.values)
      if (!is_finite(value.second)) return producer;
  }
  Matrix<T> dy = {signal_[0], count, outputs(), outputs()};
  const LossResult loss = kernels<T>().loss.evaluate(context, plan.loss, x, batch.targets, count, dy);
  if (!std::isfinite(loss.sum) || !is_finite(measure(pass, as_const(dy))))
    return {"loss", producer.stage, "loss", {{"outputs", measure(pass, x)}, {"gradient", measure(pass, as_const(dy))}}};
  for (std::size_t i = layers_.size(); i-- > 0;) {
    const Index width = stages_[i].inputs;
    Matrix<T> below = {dy.data == signal_[0] ? signal_[1] : signal_[0], count, width, width};
    producer = {"backward", static_cast<int>(i), "", {{"output gradient", measure(pass, as_const(dy))}}};
    layers_[i]->backward(pass, layer_inputs_[i], dy, below);  // leaves delta in dy
    producer.operation = "activation_backward";
    producer.values.push_back({"error", measure(pass, as_const(dy))});
    if (!is_finite(producer.values.back().second)) return producer;
    producer.operation = "dense_backward";
    producer.values.push_back({"x", measure(pass, layer_inputs_[i])});
    for (const Slice& slice : slices_) {
      if (slice.stage != static_cast<int>(i)) continue;
      const Matrix<const T> gradient = {gradients_.data() + slice.offset, 1, slice.size(), slice.size()};
      producer.values.push_back({slice.name + " gradient", measure(pass, gradient)});
      if (!is_finite(producer.values.back().second)) return producer;
    }
    producer.values.push_back({"input gradient", measure(pass, as_const(below))});
    if (i > 0 && !is_finite(producer.values.back().second)) return producer;
    dy = below;
  }
  // Nothing so far: the step itself leaves the format. The parameter it does so for is the one that is worst.
  producer = {"update", -1, "sgd_update", {}};
  double worst = -1;
  for (const Slice& slice : slices_) {
    const double rate = static_cast<double>(static_cast<T>(plan.sgd.learning_rate));
    const double decay = slice.decays ? plan.sgd.learning_rate * (plan.sgd.weight_decay + plan.sgd.l2) : 0;
    const double size = std::fabs(1 - decay) * largest(context, parameters_.data(), slice) +
                        rate * largest(context, gradients_.data(), slice);
    if (size <= worst) continue;
    worst = size;
    const Index count_of = slice.size();
    producer.stage = slice.stage;
    producer.values = {
        {slice.name, measure(pass, Matrix<const T>{parameters_.data() + slice.offset, 1, count_of, count_of})},
        {slice.name + " gradient",
         measure(pass, Matrix<const T>{gradients_.data() + slice.offset, 1, count_of, count_of})}};
    if (std::isnan(size)) break;
  }
  return producer;
}

#define GRADWELL_INSTANTIATE(T)                                                                                       \
  template void Program<T>::update(Context, Sgd);                                                                     \
  template TrainResult Program<T>::train(Context, const TrainPlan&, const Samples<T>&, const Index*, Index, Record*); \
  template Producer Program<T>::find_producer(Context, const TrainPlan&, const Samples<T>&, const Index*, Index);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace gradwell
