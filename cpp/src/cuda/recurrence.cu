#include "cuda/recurrence.h"

#include "cuda/launch.h"
#include "cuda/product.h"
#include "cuda/recurrent_gradients.h"

namespace gradwell {
namespace cuda {
namespace {

// Which step of which sequence a row is, and the place in time that the step stands for.
struct RowPlace {
  Index b, time;
  bool active;
};
template <class T>
__device__ RowPlace place_of_row(const RecurrentRun<T>& run, Index row) {
  Index t, b;
  if (row <= 0xffffffffu && run.batch <= 0xffffffffu) {  // a division of 64 bits takes many times as long
    t = static_cast<std::uint32_t>(row) / static_cast<std::uint32_t>(run.batch);
    b = static_cast<std::uint32_t>(row) % static_cast<std::uint32_t>(run.batch);
  } else {
    t = row / run.batch;
    b = row % run.batch;
  }
  const Index length = run.lengths ? run.lengths[b] : run.whole;
  return {b, run.reverse && t < length ? length - 1 - t : t, t < length};
}

template <class T>
struct TakeIn {
  RecurrentRun<T> run;
  Sequence<const T> x;
  Index inputs;
  T* to;
  __device__ void operator()(Index row, Index j) const {
    const RowPlace at = place_of_row(run, row);
    to[row * inputs + j] = at.active ? x.data[at.b * x.row + at.time * x.step + j] : T(0);
  }
};

template <class T>
struct GiveBack {
  RecurrentRun<T> run;
  const T* from;
  Index inputs;
  bool adds;
  Sequence<T> dx;
  __device__ void operator()(Index row, Index j) const {
    const RowPlace at = place_of_row(run, row);
    T& to = dx.data[at.b * dx.row + at.time * dx.step + j];
    to = adds ? to + from[row * inputs + j] : from[row * inputs + j];
  }
};

template <class T>
struct Turn {
  const T* from;  // (columns of `to`, rows of `to`)
  Index wide, hidden;
  T* to;
  __device__ void operator()(Index i, Index j) const { to[i * hidden + j] = from[j * wide + i]; }
};

}  // namespace

template <class T>
CudaRecurrence<T>::CudaRecurrence(const StagePlan& stage, const DirectionPlan& direction, const T* parameters,
                                  T* gradients)
    : offsets_(direction),
      parameters_(parameters),
      gradients_(gradients),
      inputs_(stage.time_steps > 0 ? stage.inputs / stage.time_steps : 0),
      limits_(block_limits()) {
  const auto at = [&](Index offset) { return offset < 0 ? nullptr : parameters + offset; };
  run_.kind = stage.cell;
  run_.activation = stage.cell_activation;
  run_.hidden = stage.hidden;
  run_.reverse = direction.reverse;
  run_.peephole = at(direction.peephole);
  run_.bias = at(direction.recurrent_bias);
}

template <class T>
void CudaRecurrence<T>::reserve(Queue& queue, Index batch, Index steps) {
  if (batch <= capacity_ && steps == run_.steps) return;
  capacity_ = 0;
  const Index all = batch * steps, hidden = run_.hidden, state = batch * hidden, states = (steps + 1) * state;
  const bool lstm = run_.kind == CellKind::lstm, gru = is_gru(run_.kind);
  // What was there is freed before more is asked for.
  for (DeviceBlock<T>* block : {&x_, &dx_, &gates_, &states_, &cells_, &turned_, &scratch_.sums, &scratch_.delta,
                                &scratch_.dh, &scratch_.dc, &scratch_.record})
    *block = DeviceBlock<T>();
  const auto take = [&](DeviceBlock<T>& block, Index count) {
    if (count > 0) block = DeviceBlock<T>(queue, count);
    return block.data();
  };
  take(x_, all * inputs_);
  take(dx_, all * inputs_);
  run_.gates = take(gates_, all * gates());
  run_.states = take(states_, states);
  run_.cells = take(cells_, lstm ? states : (gru ? all * hidden : 0));
  run_.batch = batch;
  const bool forward_steps = !runs_forward(run_, limits_), backward_steps = !runs_backward(run_, limits_);
  take(turned_, hidden * gates());  // a smaller batch may go back in one launch where this one does not
  take(scratch_.sums, forward_steps || backward_steps ? batch * gates() : 0);
  if (backward_steps) {
    take(scratch_.delta, run_.kind == CellKind::gru ? batch * gates() : 0);
    take(scratch_.dh, state);
    take(scratch_.dc, lstm ? state : 0);
    take(scratch_.record, 4 * state);
  }
  parts_ = DeviceBlock<double>(queue, sum_parts(run_.kind, hidden));
  run_.steps = run_.whole = steps;
  capacity_ = batch;
}

template <class T>
void CudaRecurrence<T>::forward(Queue& queue, Index batch, Sequence<const T> x, const Index* lengths, Sequence<T> y) {
  run_.batch = batch;
  run_.lengths = lengths;
  const Index all = run_.steps * batch, state = batch * run_.hidden;
  for_each_element("recurrent_input", queue, all, inputs_, TakeIn<T>{run_, x, inputs_, x_.data()});
  multiply<T>(queue, {}, {x_.data(), all, inputs_, inputs_}, {parameters_ + offsets_.weight, inputs_, gates(), gates()},
              {run_.gates, all, gates(), gates()}, offsets_.bias < 0 ? nullptr : parameters_ + offsets_.bias);
  const T* const recurrent = parameters_ + offsets_.recurrent_weight;
  if (runs_forward(run_, limits_)) return forward_in_one(queue, run_, limits_, recurrent, y);
  const auto clear = [&](T* first) {
    check_cuda(cudaMemsetAsync(first, 0, static_cast<std::size_t>(state) * sizeof(T), queue.stream()),
               "cudaMemsetAsync");
  };
  clear(run_.states);
  if (run_.kind == CellKind::lstm) clear(run_.cells);
  forward_by_steps(queue, run_, recurrent, scratch_, y);
}

template <class T>
void CudaRecurrence<T>::backward(Queue& queue, Sequence<const T> dy, Matrix<const T> dlast, double* norms) {
  const T* const recurrent = parameters_ + offsets_.recurrent_weight;
  if (!runs_backward(run_, limits_)) return backward_by_steps(queue, run_, recurrent, scratch_, dy, dlast, norms);
  for_each_element("recurrent_weight", queue, gates(), run_.hidden,
                   Turn<T>{recurrent, gates(), run_.hidden, turned_.data()});
  backward_in_one<T>(queue, run_, limits_, turned_.data(), dy, dlast, norms);
}

template <class T>
void CudaRecurrence<T>::input_gradient(Queue& queue, Sequence<T> dx, bool adds) {
  const Index all = run_.steps * run_.batch;
  Factors factors;
  factors.right_transposed = true;
  multiply<T>(queue, factors, {run_.gates, all, gates(), gates()},
              {parameters_ + offsets_.weight, inputs_, gates(), gates()}, {dx_.data(), all, inputs_, inputs_});
  for_each_element("recurrent_input_gradient", queue, all, inputs_, GiveBack<T>{run_, dx_.data(), inputs_, adds, dx});
}

template <class T>
void CudaRecurrence<T>::gradients(Queue& queue) {
  const Index hidden = run_.hidden, wide = gates(), all = run_.steps * run_.batch;
  const auto to = [&](Index offset) { return offset < 0 ? nullptr : gradients_ + offset; };
  const auto over_time = [&](const T* of, Index rows, const T* delta, Index from, Index columns, Index stride, T* sum) {
    Factors factors;
    factors.left_transposed = true;
    multiply<T>(queue, factors, {of, all, rows, rows}, {delta, all, columns, stride},
                {sum + from, rows, columns, wide});
  };
  T* const own = to(offsets_.recurrent_weight);
  over_time(x_.data(), inputs_, run_.gates, 0, wide, wide, to(offsets_.weight));
  if (!is_gru(run_.kind)) {
    over_time(run_.states, hidden, run_.gates, 0, wide, wide, own);
  } else {  // the candidate's recurrent product has a gradient, or an input, of its own
    over_time(run_.states, hidden, run_.gates, 0, 2 * hidden, wide, own);
    if (run_.kind == CellKind::gru) {
      over_time(run_.states, hidden, run_.cells, 2 * hidden, hidden, hidden, own);
    } else {
      over_time(run_.cells, hidden, run_.gates + 2 * hidden, 2 * hidden, hidden, wide, own);
    }
  }
  sum_over_time(queue, run_, to(offsets_.bias), to(offsets_.recurrent_bias), to(offsets_.peephole), parts_.data());
}

template class CudaRecurrence<float>;
template class CudaRecurrence<double>;

}  // namespace cuda
}  // namespace gradwell
