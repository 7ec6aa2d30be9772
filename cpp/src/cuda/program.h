// A network on the device: its parameters, arena, optimiser state and record live there. Private to cpp/src/cuda.
//
// A step is captured once as a graph for each number of rows, and launched again and again: what changes from step to
// step it reads from the device (step.h). The host waits at the end of a run of steps only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "cuda/narrow.h"
#include "cuda/optimizers.h"
#include "cuda/recorder.h"
#include "cuda/samples.h"
#include "cuda/stage.h"
#include "gradwell/device.h"

namespace gradwell {
namespace cuda {

template <class T>
struct SliceTables;

template <class T>
class CudaProgram final : public DeviceProgram<T> {
 public:
  explicit CudaProgram(const NetworkPlan& plan);
  ~CudaProgram() override;

  void put(const HostBlocks<T>&) override;
  void get(const HostBlocks<T>&) override;
  void hold(const Samples<T>&) override;
  void release() override;
  void forward(Matrix<const T> x, const Index* lengths, Matrix<T> y, Mode) override;
  void backward(Matrix<const T> dy, Matrix<T> dx) override;
  void predict(Matrix<const T> x, const Index* lengths, Matrix<T> y, Index batch) override;
  LossResult evaluate(LossKind, const Samples<T>&, Index batch) override;
  LossResult record_gradients(LossKind, const Samples<T>&, Mode, Record*) override;
  TrainResult train(const TrainPlan&, const Samples<T>&, const Index* order, Index count, const StepMemory&,
                    Record*) override;

 private:
  // program.cu: memory.
  void reserve(Index rows);
  Blocks<T> blocks() const { return {parameters_.data(), gradients_.data(), buffers_.data()}; }
  void set_state(const RunState& state);
  RunState get_state();

  // program_pass.cu: a batch forward, its loss, and back.
  Matrix<const T> output_of(int stage, Index rows) const;
  Matrix<const T> input_of(std::size_t stage, Index rows) const;
  void run_forward(const Pass<T>&, Matrix<const T> x);
  void run_loss(const Pass<T>&, LossKind, const BatchOfSamples<T>&);
  void run_backward(const Pass<T>&, Matrix<T> input_error);
  void pass_back(const Pass<T>&, std::size_t stage, Matrix<T> input_error);
  void run_gradients(const Pass<T>&);
  bool prepare_recorder(CudaRecorder<T>& recorder, Index rows, Index slots);

  Index targets_of(const Samples<T>&, Index first, Index rows) const;

  // program_step.cu: one step.
  struct Run;
  void enqueue_step(Run& run, Index rows, CudaRecorder<T>* recorder);
  void enqueue_narrow_step(Run& run, Index rows, CudaRecorder<T>* recorder);
  void clip_gradients(Run& run);
  void decide_by_host(Run& run);
  cudaGraphExec_t graph_of(Run& run, Index rows, CudaRecorder<T>* recorder);
  void forget_graphs();

  // program_train.cu: runs of steps.
  std::vector<unsigned char> held_fast(const Run& run) const;
  void prepare(Run& run, const Samples<T>&, const Index* order, Index count);
  void begin_run(Run& run, Index step);
  Index stretch_of(Run& run, Index from, const Record* record);
  void take_steps(Run& run, Index from, Index until, const Record* record, TrainResult* result);
  void take_records(const Run& run, Index from, Index done, Fault fault, Record& record);
  void read_steps(const Run& run, const Samples<T>&, const Index* order, Index done, TrainResult* result);

  NetworkPlan plan_;
  Queue queue_;
  DeviceBlock<T> parameters_, gradients_, states_[most_states];
  int state_count_ = 0;
  DeviceBlock<double> buffers_;
  std::vector<std::unique_ptr<Stage<T>>> stages_;

  DeviceBlock<T> arena_;
  Index capacity_ = 0, kept_ = 0;
  const Index* kept_lengths_ = nullptr;
  bool kept_training_ = false;
  DeviceBlock<T> scratch_;  // where a gradient is made that is added to another
  Matrix<const T> x_ = {nullptr, 0, 0, 0};
  BatchMemory<T> batch_;  // input, targets and lengths of the batch under way
  DeviceBlock<double> costs_;
  DeviceBlock<RunState> state_;
  PinnedBlock<RunState> host_state_;
  HeldSamples<T> held_;

  std::unique_ptr<SliceTables<T>> slices_;
  std::unique_ptr<NarrowChain<T>> narrow_;  // where the network is such a chain
  std::unique_ptr<CudaRecorder<T>> recorder_;
  std::map<std::pair<Index, bool>, cudaGraphExec_t> graphs_;
  std::vector<unsigned char> graphs_for_;  // what the graphs hold fast, to be compared
  std::unique_ptr<Run> run_;               // its tables stay where captured graphs look for them
};

}  // namespace cuda
}  // namespace gradwell
