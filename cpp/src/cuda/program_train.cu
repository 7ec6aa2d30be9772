// Runs of steps: what goes to the device before them, and what is read when they are done.
#include <chrono>
#include <cstring>
#include <limits>

#include "cuda/run.h"

namespace gradwell {
namespace cuda {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

template <class V>
void append(std::vector<unsigned char>& to, const V& value) {
  const auto* const bytes = reinterpret_cast<const unsigned char*>(&value);
  to.insert(to.end(), bytes, bytes + sizeof value);
}

}  // namespace

// What captured steps hold fast: where things are, and all constants of the plan. Where it changes they are captured
// again.
template <class T>
std::vector<unsigned char> CudaProgram<T>::held_fast(const Run& run) const {
  const TrainPlan& plan = *run.plan;
  const StepRule& r = plan.rule;
  std::vector<unsigned char> all;
  const Samples<T>& samples = held_.samples();
  for (const void* p : {static_cast<const void*>(samples.x.data), static_cast<const void*>(samples.targets.classes),
                        static_cast<const void*>(samples.targets.values.data),
                        static_cast<const void*>(samples.lengths), static_cast<const void*>(held_.order()),
                        static_cast<const void*>(run.rates.data()), static_cast<const void*>(run.losses.data()),
                        static_cast<const void*>(run.clips.data()), static_cast<const void*>(arena_.data()),
                        static_cast<const void*>(states_[0].data()), static_cast<const void*>(states_[1].data())})
    append(all, p);
  for (double value : {r.l2, r.l1, r.weight_decay, r.momentum, r.dampening, r.decay, r.epsilon, r.smallest, r.largest,
                       r.limit, plan.clip.limit, plan.clip.floor})
    append(all, value);
  for (double value : plan.amplify) append(all, value);
  for (int value :
       {static_cast<int>(plan.loss), static_cast<int>(r.kind), static_cast<int>(plan.clip.kind),
        static_cast<int>(run.one_rate()), static_cast<int>(precision()), static_cast<int>(run.counts_steps)})
    append(all, value);
  append(all, plan.batch);
  return all;
}

template <class T>
void CudaProgram<T>::begin_run(Run& run, Index step) {
  const TrainPlan& plan = *run.plan;
  RunState state = {};
  state.seed = plan.seed;
  state.first_step = plan.first_step;
  state.step = step;
  state.updates = run.memory->updates + step;
  set_state(state);
  const SliceTables<T>& s = *slices_;
  const auto largest_of = [&](const T* block) {
    slice_magnitudes(queue_, block, s.spans.data(), s.count, s.pieces.data(), s.pieces.size(), s.partial.data(),
                     s.norms.data());
  };
  largest_of(parameters_.data());
  set_bound(queue_, state_.data(), s.norms.data(), s.count, false);
  if (state_count_ == 0) return;
  largest_of(states_[0].data());
  set_bound(queue_, state_.data(), s.norms.data(), s.count, true);
}

// Steps `from` ... `until`; after one that the device does not take, none moves anything. Recorded steps
// are timed by themselves.
template <class T>
void CudaProgram<T>::take_steps(Run& run, Index from, Index until, const Record* record, TrainResult* result) {
  const TrainPlan& plan = *run.plan;
  auto start = Clock::now();
  Index timed = 0;
  bool recorded = false;
  const auto note = [&] {
    if (timed == 0) return;
    queue_.wait();
    (recorded ? result->recorded_seconds : result->plain_seconds) += seconds_since(start);
    (recorded ? result->recorded_steps : result->plain_steps) += timed;
    timed = 0;
    start = Clock::now();
  };
  for (Index step = from; step < until; ++step) {
    const Index rows = std::min(plan.batch, run.count - step * plan.batch);
    CudaRecorder<T>* const recorder = run.records(step, record) ? recorder_.get() : nullptr;
    if (recorder && prepare_recorder(*recorder, rows, run.slots)) forget_graphs();
    if ((recorder != nullptr) != recorded) note();
    recorded = recorder != nullptr;
    const cudaGraphExec_t graph = run.clips_by_memory() ? nullptr : graph_of(run, rows, recorder);
    if (graph) {
      check_cuda(cudaGraphLaunch(graph, queue_.stream()), "cudaGraphLaunch");
    } else {
      enqueue_step(run, rows, recorder);
    }
    ++timed;
  }
  note();
}

// What is the same for all steps of a run goes to the device.
template <class T>
void CudaProgram<T>::prepare(Run& run, const Samples<T>& samples, const Index* order, Index count) {
  const TrainPlan& plan = *run.plan;
  run.count = count;
  run.steps = ceiling(count, plan.batch);
  run.counts_steps = plan_.gives_sequences && samples.lengths;
  run.general = false;
  run.allowed_step = -1;
  run.tried = -1;
  if (run.losses.size() < run.steps) {
    run.losses = DeviceBlock<double>(queue_, run.steps);
    run.correct = DeviceBlock<Index>(queue_, run.steps);
    run.clips = DeviceBlock<ClipEntry>(queue_, run.steps);
    run.rates = DeviceBlock<double>(queue_, run.steps);
    run.allowed = DeviceBlock<double>(queue_, 1);
  }
  const StagePlan& last = plan_.stages.back();
  held_.begin(queue_, {plan_.inputs, last.outputs * last.steps, plan_.output_steps}, samples, order, count);
  copy(queue_, run.rates.data(), plan.learning_rates.data(), static_cast<Index>(plan.learning_rates.size()));
  slices_->rules_for(queue_, plan_, plan.rule);
  std::vector<unsigned char> now = held_fast(run);
  if (now == graphs_for_) return;
  forget_graphs();
  graphs_for_ = std::move(now);
}

template <class T>
TrainResult CudaProgram<T>::train(const TrainPlan& plan, const Samples<T>& samples, const Index* order, Index count,
                                  const StepMemory& memory, Record* record) {
  reserve(std::min(plan.batch, count));
  kept_ = 0;
  if (!run_) run_ = std::make_unique<Run>();
  Run& run = *run_;
  run.plan = &plan;
  run.memory = &memory;
  prepare(run, samples, order, count);
  if (!recorder_ && record && plan.record_every > 0)
    recorder_ = std::make_unique<CudaRecorder<T>>(queue_, plan_, dead_window);

  TrainResult result;
  Index done = 0;
  begin_run(run, 0);
  while (done < run.steps) {
    const bool narrow = narrow_ && run.looks_at_nothing();
    const Index from = done, until = stretch_of(run, from, record);
    take_steps(run, from, until, record, &result);
    const RunState state = get_state();
    done = state.step;
    // What a bound on the gradients leaves open, the gradients themselves decide; where a bound on the parameters nears
    // the end of the format, they are looked at once.
    const auto fault = static_cast<Fault>(state.fault);
    const bool again = narrow && (state.close || fault == Fault::gradient);
    const bool refused = state.close && !narrow && done == run.tried;
    if (fault != Fault::none && !again) result.fault = fault;
    if (refused) result.fault = Fault::update;
    take_records(run, from, done, result.fault, *record);
    if (result.fault != Fault::none) break;
    if (!again && !state.close) continue;
    if (again) {
      run.general = true;
      forget_graphs();
    }
    if (!again) run.tried = done;
    begin_run(run, done);
  }
  if (run.general) forget_graphs();
  read_steps(run, samples, order, done, &result);
  return result;
}

// As many steps as the recorder has room for.
template <class T>
Index CudaProgram<T>::stretch_of(Run& run, Index from, const Record* record) {
  constexpr Index most_bytes = Index{64} << 20;
  run.slots = 0;
  Index most = std::numeric_limits<Index>::max(), step = from;
  for (; step < run.steps && run.slots < most; ++step) {
    if (!run.records(step, record)) continue;
    if (run.slots == 0) {
      if (prepare_recorder(*recorder_, std::min(run.plan->batch, run.count), 2)) forget_graphs();
      most = std::max<Index>(1, most_bytes / std::max<Index>(recorder_->slot_bytes(), 1));
    }
    ++run.slots;
  }
  ++run.slots;  // where steps after a fault leave what no one reads
  return step;
}

// The records of steps from ... done, and of the one that was refused.
template <class T>
void CudaProgram<T>::take_records(const Run& run, Index from, Index done, Fault fault, Record& record) {
  if (!recorder_) return;
  Index count = 0;
  bool stepped = true;
  const Index end = fault == Fault::none ? done : done + 1;
  for (Index step = from; step < end; ++step) {
    if (!run.records(step, &record)) continue;
    record.steps.push_back(run.plan->first_step + step);
    ++count;
    stepped = step < done;
  }
  recorder_->finish(queue_, record, count, stepped);
}

template <class T>
void CudaProgram<T>::read_steps(const Run& run, const Samples<T>& samples, const Index* order, Index done,
                                TrainResult* result) {
  const auto size = static_cast<std::size_t>(done);
  result->losses.resize(size);
  std::vector<Index> correct(size);
  copy(queue_, result->losses.data(), static_cast<const double*>(run.losses.data()), done);
  copy(queue_, correct.data(), static_cast<const Index*>(run.correct.data()), done);
  if (run.plan->clip.kind != ClipKind::none) {
    result->clips.resize(size);
    copy(queue_, result->clips.data(), static_cast<const ClipEntry*>(run.clips.data()), done);
  }
  queue_.wait();
  for (Index step = 0; step < done; ++step) {
    const Index first = step * run.plan->batch, rows = std::min(run.plan->batch, run.count - first);
    Index counted = rows * plan_.output_steps;
    if (run.counts_steps) {
      counted = 0;
      for (Index i = first; i < first + rows; ++i) counted += samples.lengths[order[i]];
    }
    const auto k = static_cast<std::size_t>(step);
    result->losses[k] /= static_cast<double>(std::max<Index>(counted, 1));
    result->counts.push_back(counted);
    result->correct += correct[k];
    result->samples += counted;
  }
}

#define GRADWELL_INSTANTIATE(T)                                                                        \
  template std::vector<unsigned char> CudaProgram<T>::held_fast(const Run&) const;                     \
  template void CudaProgram<T>::begin_run(Run&, Index);                                                \
  template Index CudaProgram<T>::stretch_of(Run&, Index, const Record*);                               \
  template void CudaProgram<T>::take_steps(Run&, Index, Index, const Record*, TrainResult*);           \
  template void CudaProgram<T>::take_records(const Run&, Index, Index, Fault, Record&);                \
  template void CudaProgram<T>::prepare(Run&, const Samples<T>&, const Index*, Index);                 \
  template TrainResult CudaProgram<T>::train(const TrainPlan&, const Samples<T>&, const Index*, Index, \
                                             const StepMemory&, Record*);                              \
  template void CudaProgram<T>::read_steps(const Run&, const Samples<T>&, const Index*, Index, TrainResult*);
GRADWELL_INSTANTIATE(float)
GRADWELL_INSTANTIATE(double)

}  // namespace cuda
}  // namespace gradwell
