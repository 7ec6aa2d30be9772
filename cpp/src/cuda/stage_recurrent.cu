// Recurrent layers on the device, in one direction or two, whose outputs lie side by side.
#include "cuda/recorder.h"
#include "cuda/recurrence.h"
#include "cuda/residual.h"
#include "cuda/stage.h"

namespace gradwell {
namespace cuda {
namespace {

template <class T>
class RecurrentStage final : public Stage<T> {
 public:
  RecurrentStage(int number, const StagePlan& plan, Blocks<T> blocks) : Stage<T>(number, plan, blocks) {
    for (const DirectionPlan& direction : plan.directions)
      directions_.push_back(std::make_unique<CudaRecurrence<T>>(plan, direction, blocks.parameters, blocks.gradients));
    norms_.resize(directions_.size());
  }
  void bind(Queue& queue, T* memory, Index batch) override {
    Stage<T>::bind(queue, memory, batch);
    const Index steps = this->plan_.time_steps;
    for (std::size_t k = 0; k < directions_.size(); ++k) {
      directions_[k]->reserve(queue, batch, steps);
      norms_[k] = DeviceBlock<double>(queue, time_quantities(this->plan_.cell) * steps * batch);
    }
  }
  void forward(const Pass<T>& pass, Matrix<const T> x) override {
    for (std::size_t k = 0; k < directions_.size(); ++k) {
      const Sequence<T> y = {this->plan_.sequences ? this->y_ + place(k) : nullptr, this->width(), side()};
      directions_[k]->forward(pass.queue, pass.rows, {x.data, x.columns, inputs()}, pass.lengths, y);
      if (!this->plan_.sequences)
        copy(pass.queue, Matrix<T>{this->y_ + place(k), pass.rows, hidden(), side()},
             Matrix<const T>{directions_[k]->last_state(), pass.rows, hidden(), hidden()});
    }
    if (!pass.recorder) return;
    const bool plain = this->plan_.cell == CellKind::rnn;  // of the others, h tells little of its gates
    const Activation f = {plain ? this->plan_.cell_activation : ActivationKind::identity, 0};
    pass.recorder->saturation(pass.queue, this->number_, {f, Saved::output, as_const(this->output(pass.rows))});
  }
  void backward_activation(const Pass<T>&, Matrix<const T>) override {}
  void backward_input(const Pass<T>& pass, Matrix<const T> x, Matrix<T> dx) override {
    backward_end(pass, x);
    for (std::size_t k = 0; k < directions_.size(); ++k)
      directions_[k]->input_gradient(pass.queue, {dx.data, dx.columns, inputs()}, k > 0);
  }
  void backward_end(const Pass<T>& pass, Matrix<const T>) override {
    for (std::size_t k = 0; k < directions_.size(); ++k) {
      const T* const error = this->error_ + place(k);
      const Sequence<const T> dy = {this->plan_.sequences ? error : nullptr, this->width(), side()};
      const Matrix<const T> last = {this->plan_.sequences ? nullptr : error, pass.rows, hidden(), side()};
      directions_[k]->backward(pass.queue, dy, last, pass.recorder ? norms_[k].data() : nullptr);
      if (pass.recorder) pass.recorder->time(pass.queue, this->number_, static_cast<int>(k), norms_[k].data());
    }
  }
  void gradients(const Pass<T>& pass, Matrix<const T>) override {
    for (const auto& direction : directions_) direction->gradients(pass.queue);
  }

 private:
  Index hidden() const { return this->plan_.hidden; }
  Index side() const { return hidden() * static_cast<Index>(directions_.size()); }
  Index place(std::size_t k) const { return static_cast<Index>(k) * hidden(); }
  Index inputs() const { return this->plan_.inputs / this->plan_.time_steps; }

  std::vector<std::unique_ptr<CudaRecurrence<T>>> directions_;
  std::vector<DeviceBlock<double>> norms_;
};

}  // namespace

template <class T>
std::unique_ptr<Stage<T>> make_recurrent(int number, const StagePlan& plan, Blocks<T> blocks) {
  return std::make_unique<RecurrentStage<T>>(number, plan, blocks);
}
template std::unique_ptr<Stage<float>> make_recurrent(int, const StagePlan&, Blocks<float>);
template std::unique_ptr<Stage<double>> make_recurrent(int, const StagePlan&, Blocks<double>);

}  // namespace cuda
}  // namespace gradwell
