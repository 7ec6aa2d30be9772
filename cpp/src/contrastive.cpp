#include "contrastive.h"

#include <algorithm>
#include <cmath>

#include "core/team.h"
#include "gradwell/kernels.h"
#include "gradwell/memory.h"

namespace gradwell {
namespace {

constexpr double forgetting = 0.9;  // of the activity, a step

template <class T>
Matrix<const T> read_only(Matrix<T> m) {
  return {m.data, m.rows, m.columns, m.stride};
}

template <class T>
Matrix<T> first_rows(const Block<T>& block, Index rows, Index columns, Index stride) {
  return {block.data(), rows, columns, stride};
}

// Rows on whole lines of the cache.
template <class T>
Index padded(Index columns) {
  constexpr Index line = 64 / static_cast<Index>(sizeof(T));
  return (columns + line - 1) / line * line;
}

template <class T>
class Contrast {
 public:
  Contrast(Context context, const Machine<T>& machine, const ContrastivePlan& plan)
      : context_(context),
        machine_(machine),
        plan_(plan),
        visible_(machine.weight.rows),
        hidden_(machine.weight.columns),
        rows_(std::max(plan.batch, machine.chains.rows)),
        data_(rows_ * padded<T>(visible_)),
        first_(data_.size()),
        mean_v_(data_.size()),
        drawn_v_(data_.size()),
        data_h_(rows_ * padded<T>(hidden_)),
        mean_h_(data_h_.size()),
        drawn_h_(data_h_.size()),
        sums_(static_cast<std::size_t>(std::max(visible_, hidden_))),
        errors_(static_cast<std::size_t>(plan.batch)) {}

  // One step on the rows of x that order names; false, and nothing changed, where a value was not finite.
  bool step(Matrix<const T> x, const Index* order, Index count, std::uint64_t number, double& error) {
    const auto v0 = first_rows(data_, count, visible_, padded<T>(visible_));
    const auto h0 = first_rows(data_h_, count, hidden_, padded<T>(hidden_));
    for_each_task(context_, count,
                  [&](Index i) { std::copy_n(x.data + order[i] * x.stride, visible_, v0.data + i * v0.stride); });
    auto drawn = first_rows(drawn_h_, count, hidden_, padded<T>(hidden_));
    hidden_given(v0, h0, drawn, number, 0);
    const auto first = first_rows(first_, count, visible_, padded<T>(visible_));
    const auto draws = first_rows(drawn_v_, count, visible_, padded<T>(visible_));
    visible_given(drawn, first, plan_.mean_field || plan_.persistent ? Matrix<T>{} : draws, number, 1);
    boltzmann_.squared_distance(context_, read_only(v0), read_only(first), errors_.data());
    error = 0;
    for (Index i = 0; i < count; ++i) error += errors_[static_cast<std::size_t>(i)];
    error /= static_cast<double>(count);
    if (!std::isfinite(error)) return false;

    const Index chains = plan_.persistent ? machine_.chains.rows : count;
    const auto model_h = first_rows(mean_h_, chains, hidden_, padded<T>(hidden_));
    drawn.rows = chains;
    Matrix<T> mean_v = first_rows(mean_v_, chains, visible_, padded<T>(visible_));
    Matrix<T> drawn_v = first_rows(drawn_v_, chains, visible_, padded<T>(visible_));
    Matrix<T> model_v = plan_.mean_field ? mean_v : drawn_v;
    if (plan_.persistent) copy_chains(machine_.chains, drawn);
    for (int turn = 0; turn < plan_.k; ++turn) {
      const auto stream = static_cast<std::uint32_t>(2 * turn + 1);
      if (turn == 0 && !plan_.persistent) {
        if (plan_.mean_field) model_v = first;
      } else {
        model_v = plan_.mean_field ? mean_v : drawn_v;
        visible_given(drawn, mean_v, plan_.mean_field ? Matrix<T>{} : drawn_v, number, stream + 2 * plan_.persistent);
      }
      const bool last = turn + 1 == plan_.k && !plan_.persistent;
      hidden_given(model_v, model_h, last ? Matrix<T>{} : drawn, number, stream + 1 + 2 * plan_.persistent);
    }
    const double up = plan_.learning_rate / static_cast<double>(count);
    const double down = plan_.learning_rate / static_cast<double>(chains);
    if (!weigh(v0, model_v, up, down, change_v_) || !weigh(h0, model_h, up, down, change_h_)) return false;
    if (plan_.persistent) copy_chains(drawn, machine_.chains);
    boltzmann_.update(context_, read_only(v0), read_only(h0), read_only(model_v), read_only(model_h),
                      {up, down, plan_.momentum, plan_.learning_rate * plan_.decay}, machine_.weight_velocity,
                      machine_.weight);
    move(change_v_, machine_.visible_velocity, machine_.visible_bias);
    move(change_h_, machine_.hidden_velocity, machine_.hidden_bias);
    if (plan_.target >= 0) make_sparse(h0);
    return true;
  }

 private:
  void hidden_given(Matrix<T> v, Matrix<T> mean, Matrix<T> sample, std::uint64_t number, std::uint32_t stream) {
    boltzmann_.conditional(context_, read_only(v), read_only(machine_.weight), false, machine_.hidden_bias,
                           UnitKind::binary, {plan_.seed, number, stream}, 0, mean, sample);
  }
  void visible_given(Matrix<T> h, Matrix<T> mean, Matrix<T> sample, std::uint64_t number, std::uint32_t stream) {
    boltzmann_.conditional(context_, read_only(h), read_only(machine_.weight), true, machine_.visible_bias,
                           machine_.kind, {plan_.seed, number, stream}, 0, mean, sample);
  }

  static void copy_chains(Matrix<T> from, Matrix<T> to) {
    for (Index i = 0; i < from.rows; ++i)
      std::copy_n(from.data + i * from.stride, from.columns, to.data + i * to.stride);
  }

  // change = up times the column sums of data, less down times those of model; false where one is not finite.
  bool weigh(Matrix<T> data, Matrix<T> model, double up, double down, std::vector<double>& change) {
    const auto& dense = kernels<T>().dense;
    change.resize(static_cast<std::size_t>(data.columns));
    dense.backward_bias(context_, read_only(model), sums_.data());
    for (std::size_t j = 0; j < change.size(); ++j) change[j] = -down * static_cast<double>(sums_[j]);
    dense.backward_bias(context_, read_only(data), sums_.data());
    bool finite = true;
    for (std::size_t j = 0; j < change.size(); ++j) {
      change[j] += up * static_cast<double>(sums_[j]);
      finite = finite && std::isfinite(change[j]);
    }
    return finite;
  }

  void move(const std::vector<double>& change, T* velocity, T* bias) {
    for (std::size_t j = 0; j < change.size(); ++j) {
      velocity[j] = static_cast<T>(plan_.momentum * static_cast<double>(velocity[j]) + change[j]);
      bias[j] += velocity[j];
    }
  }

  // After `weigh` the sums are still those of the hidden units given the data.
  void make_sparse(Matrix<T> h0) {
    for (Index j = 0; j < hidden_; ++j) {
      const double now = static_cast<double>(sums_[static_cast<std::size_t>(j)]) / static_cast<double>(h0.rows);
      double& activity = machine_.activity[j];
      activity = activity < 0 ? now : forgetting * activity + (1 - forgetting) * now;
      machine_.hidden_bias[j] += static_cast<T>(plan_.learning_rate * plan_.cost * (plan_.target - activity));
    }
  }

  const BoltzmannKernels<T>& boltzmann_ = kernels<T>().boltzmann;
  Context context_;
  const Machine<T>& machine_;
  const ContrastivePlan& plan_;
  Index visible_, hidden_, rows_;
  Block<T> data_, first_, mean_v_, drawn_v_, data_h_, mean_h_, drawn_h_;
  std::vector<T> sums_;
  std::vector<double> change_v_, change_h_, errors_;
};

}  // namespace

template <class T>
ContrastiveRun contrast(Context context, Machine<T> machine, Matrix<const T> x, const Index* order, Index samples,
                        const ContrastivePlan& plan) {
  ContrastiveRun run;
  const double work = static_cast<double>(machine.weight.rows) * static_cast<double>(machine.weight.columns) *
                      static_cast<double>(std::min(plan.batch, samples));
  on_threads(context, work, [&](Context inside) {
    Contrast<T> steps(inside, machine, plan);
    for (Index first = 0; first < samples; first += plan.batch) {
      const Index count = std::min(plan.batch, samples - first);
      double error = 0;
      const std::uint64_t number = plan.first_step + static_cast<std::uint64_t>(first / plan.batch);
      run.finite = steps.step(x, order + first, count, number, error);
      if (!run.finite) return;
      run.errors.push_back(error);
    }
  });
  return run;
}
template ContrastiveRun contrast<float>(Context, Machine<float>, Matrix<const float>, const Index*, Index,
                                        const ContrastivePlan&);
template ContrastiveRun contrast<double>(Context, Machine<double>, Matrix<const double>, const Index*, Index,
                                         const ContrastivePlan&);

}  // namespace gradwell
