// One pass over a batch: forward, loss, and the error signals back to the first stage (program_pass.cpp).
#include "cuda/loss.h"
#include "cuda/program.h"
#include "cuda/residual.h"
#include "cuda/run.h"

namespace gradwell {
namespace cuda {

template <class T>
Matrix<const T> CudaProgram<T>::output_of(int stage, Index rows) const {
  return stage < 0 ? x_ : as_const(stages_[static_cast<std::size_t>(stage)]->output(rows));
}

template <class T>
Matrix<const T> CudaProgram<T>::input_of(std::size_t i, Index rows) const {
  return stages_[i]->rows_of(output_of(plan_.stages[i].from, rows), rows);
}

template <class T>
void CudaProgram<T>::run_forward(const Pass<T>& pass, Matrix<const T> x) {
  x_ = x;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    if (plan_.stages[i].kind == StageKind::joint)
      stages_[i]->skip_is(stages_[i]->rows_of(output_of(plan_.stages[i].skip, pass.rows), pass.rows));
    stages_[i]->forward(pass, input_of(i, pass.rows));
  }
}

// Costs and their sum, and the gradient of the loss into the last stage's error.
template <class T>
void CudaProgram<T>::run_loss(const Pass<T>& pass, LossKind loss, const BatchOfSamples<T>& batch) {
  const auto by_steps = [&](auto m) {
    m.rows = pass.rows * plan_.output_steps;
    m.columns = m.stride = plan_.stages.back().outputs * plan_.stages.back().steps / plan_.output_steps;
    return m;
  };
  Targets<T> targets = batch.targets;
  if (targets.values.data) targets.values = by_steps(targets.values);
  const Matrix<T> error = by_steps(stages_.back()->error(pass.rows));
  const Matrix<const T> outputs = by_steps(as_const(stages_.back()->output(pass.rows)));
  const Index* const lengths = plan_.gives_sequences ? batch.lengths : nullptr;
  loss_evaluate(pass.queue, loss, outputs, targets, outputs.rows, lengths, plan_.output_steps, batch.whole, error,
                costs_.data(), pass.state);
}

// Hands the error of a stage on to what it was made of.
template <class T>
void CudaProgram<T>::pass_back(const Pass<T>& pass, std::size_t i, Matrix<T> input_error) {
  const StagePlan& plan = plan_.stages[i];
  Stage<T>& stage = *stages_[i];
  const Matrix<const T> x = input_of(i, pass.rows);
  const auto error_of = [&](int from) {
    return from < 0 ? input_error : stages_[static_cast<std::size_t>(from)]->error(pass.rows);
  };
  const auto record = [&](int joint, bool shortcut, Matrix<T> part) {
    if (pass.recorder && joint >= 0) pass.recorder->part(pass.queue, joint, shortcut, as_const(part));
  };
  const auto whole = [&](Matrix<T> m, Index columns) { return Matrix<T>{m.data, pass.rows, columns, columns}; };
  if (plan.skip > -2) {
    const Index columns = plan.outputs * plan.steps;
    const Matrix<T> from = whole(stage.error(pass.rows), columns);
    Matrix<T> to = error_of(plan.skip);
    const bool straight = plan.skip < 0 || !plan_.stages[static_cast<std::size_t>(plan.skip)].shortcut ||
                          plan_.stages[static_cast<std::size_t>(plan.skip)].joint != static_cast<int>(i);
    if (straight && plan.skip >= 0) record(static_cast<int>(i), true, from);
    if (to.data) {
      to = whole(to, columns);
      if (plan.skip_adds) {
        residual_add(pass.queue, as_const(from), to);
      } else {
        copy(pass.queue, to, as_const(from));
      }
    }
  }
  const Matrix<T> error = error_of(plan.from);
  if (!error.data) return stage.backward_end(pass, x);
  const Matrix<T> to = {error.data, x.rows, x.columns, x.columns};
  const Index columns = plan.inputs * plan.steps;
  if (!plan.adds) {
    stage.backward_input(pass, x, to);
    record(plan.joint, plan.shortcut, whole(to, columns));
    return;
  }
  const Matrix<T> part = {scratch_.data(), x.rows, x.columns, x.columns};
  stage.backward_input(pass, x, part);
  record(plan.joint, plan.shortcut, whole(part, columns));
  residual_add(pass.queue, as_const(part), to);
}

template <class T>
void CudaProgram<T>::run_backward(const Pass<T>& pass, Matrix<T> input_error) {
  for (std::size_t i = stages_.size(); i-- > 0;) {
    stages_[i]->backward_activation(pass, input_of(i, pass.rows));
    pass_back(pass, i, input_error);
  }
}

template <class T>
void CudaProgram<T>::run_gradients(const Pass<T>& pass) {
  for (std::size_t i = 0; i < stages_.size(); ++i) stages_[i]->gradients(pass, input_of(i, pass.rows));
}

// For steps of so many rows; true where captured steps are out of date.
template <class T>
bool CudaProgram<T>::prepare_recorder(CudaRecorder<T>& recorder, Index rows, Index slots) {
  RecordedArrays<T> arrays;
  for (const auto& stage : stages_)
    arrays.stages.push_back(
        {as_const(stage->output(rows)), as_const(stage->error(rows)), stage->plan().kind == StageKind::joint});
  arrays.gradients = gradients_.data();
  return recorder.prepare(queue_, arrays, rows, slots);
}

#define GRADWELL_INSTANTIATE(T)                                                               \
  template Matrix<const T> CudaProgram<T>::output_of(int, Index) const;                       \
  template Matrix<const T> CudaProgram<T>::input_of(std::size_t, Index) const;                \
  template void CudaProgram<T>::run_forward(const Pass<T>&, Matrix<const T>);                 \
  template void CudaProgram<T>::run_loss(const Pass<T>&, LossKind, const BatchOfSamples<T>&); \
  template void CudaProgram<T>::run_backward(const Pass<T>&, Matrix<T>);                      \
  template void CudaProgram<T>::run_gradients(const Pass<T>&);                                \
  template bool CudaProgram<T>::prepare_recorder(CudaRecorder<T>&, Index, Index);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell
