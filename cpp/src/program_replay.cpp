// The replay of a batch that names what made a value non-finite.
#include <cmath>
#include <vector>

#include "layers/layer.h"
#include "program_lock.h"

namespace gradwell {

template <class T>
Producer Program<T>::find_producer(Context context, const TrainPlan& plan, const Samples<T>& samples,
                                   const Index* order, Index count) {
  Lock lock(*this, context.flush_denormals);
  fetch();
  reserve(count);
  kept_ = 0;
  const Rows all = {0, count};
  Samples<T> batch;
  gather(samples, order, count, &batch);
  x_ = batch.x;
  const Mode mode = {true, plan.seed, static_cast<std::uint64_t>(plan.first_step), true, true};
  x_lengths_ = batch.lengths;
  const Pass<T> pass = {context, kernels<T>(), nullptr, mode, x_, x_lengths_, true};
  Producer producer;
  if (!is_finite(measure(pass, x_))) return {"input", 0, "gather", {{"x", measure(pass, x_)}}};
  begin(pass, count);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    producer.stage = static_cast<int>(i);
    layers_[i]->explain_forward(pass, input_of(i, count), producer);
    layers_[i]->forward(pass, input_of(i, count), all);
    producer.phase = "forward";
    producer.values.push_back({"output", measure(pass, layers_[i]->output(count))});
    for (const auto& value : producer.values)
      if (!is_finite(value.second)) return producer;
  }
  const Matrix<const T> outputs = layers_.back()->output(count);
  const Matrix<T> dy = layers_.back()->error(count);
  evaluate_rows(pass, plan.loss, batch, targets_of(batch), all, dy);
  if (!std::isfinite(add_costs(count * output_steps_, 0).sum) || !is_finite(measure(pass, as_const(dy))))
    return {"loss",
            producer.stage,
            "loss",
            {{"outputs", measure(pass, outputs)}, {"gradient", measure(pass, as_const(dy))}}};
  for (std::size_t i = layers_.size(); i-- > 0;) {
    Layer<T>& layer = *layers_[i];
    const Matrix<const T> error = as_const(layer.error(count)), x = input_of(i, count);
    const std::string kind = stages_[i].kind.substr(0, stages_[i].kind.find('+'));
    producer = {"backward", static_cast<int>(i), "activation_backward", {{"output gradient", measure(pass, error)}}};
    layer.backward_activation(pass, x, all);
    producer.values.push_back({"error", measure(pass, error)});
    if (!is_finite(producer.values.back().second)) return producer;
    producer.operation = kind + "_backward";
    producer.values.push_back({"x", measure(pass, x)});
    if (layer.weight_rows() > 0) layer.backward_parameters(pass, x, {0, slices_[weight_of_[i]].rows});
    pass_back(pass, i, count, all, {nullptr, 0, 0, 0});
    layer.backward_others(pass, x);
    layer.make_sums(pass);
    for (std::size_t s = first_slice_[i]; s < first_slice_[i + 1]; ++s) {
      const Slice& slice = slices_[s];
      const Matrix<const T> gradient = {gradients_.data() + slice.offset, 1, slice.size(), slice.size()};
      producer.values.push_back({slice.name + " gradient", measure(pass, gradient)});
      if (!is_finite(producer.values.back().second)) return producer;
    }
    if (flow_[i].from < 0) continue;
    const auto below = layers_[static_cast<std::size_t>(flow_[i].from)]->error(count);
    producer.values.push_back({"input gradient", measure(pass, as_const(below))});
    if (!is_finite(producer.values.back().second)) return producer;
  }
  // Nothing so far: the step itself leaves the format. The parameter it does so for is the one that is worst.
  static const char* const rules[] = {"sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "rprop"};
  producer = {"update", -1, std::string(rules[static_cast<int>(plan.rule.kind)]) + "_update", {}};
  double worst = -1;
  for (const Slice& slice : slices_) {
    const StepRule rule = slice.rule(plan.rule);
    const double rate = static_cast<double>(static_cast<T>(plan.learning_rate(0)));
    const double decay = plan.learning_rate(0) * (rule.weight_decay + rule.l2);
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

#define GRADWELL_INSTANTIATE(T) \
  template Producer Program<T>::find_producer(Context, const TrainPlan&, const Samples<T>&, const Index*, Index);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace gradwell
