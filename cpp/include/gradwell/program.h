// The compiled network: layers in order, one block of parameters, one of gradients, one arena, the step loop.
//
// A Program is built once from layer descriptions. Its arena is planned for the largest batch it has been asked
// to serve; a smaller one reuses it, and no step allocates. Two threads may call it: the second waits
// until the first is done.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "gradwell/clipper.h"
#include "gradwell/device.h"
#include "gradwell/kernels.h"
#include "gradwell/memory.h"
#include "gradwell/network.h"
#include "gradwell/record.h"
#include "gradwell/recurrence.h"
#include "gradwell/training.h"

namespace gradwell {

// The first operation that made a NaN or an infinity out of finite values, found by replaying a batch.
struct Producer {
  std::string phase;  // "input", "forward", "loss", "backward", "update", or "" where none was found
  int stage = -1;
  std::string operation;
  std::vector<std::pair<std::string, Statistics>> values;
};

template <class T>
class Layer;
template <class T>
class Recorder;
template <class T>
struct Pass;

template <class T>
class Program {
 public:
  // `steps`: how many steps of a sequence a row of the input is; 0 where it is none. `image`: channels, height and
  // width of a step, or nothing.
  Program(std::vector<LayerSpec> specs, Index inputs, Index steps, std::vector<Index> image);
  ~Program();

  Index inputs() const { return inputs_; }
  Index outputs() const { return stages_.back().outputs; }
  Index steps() const { return steps_; }
  Index output_steps() const { return output_steps_; }
  const std::vector<StageInfo>& stages() const { return stages_; }
  const std::vector<Slice>& slices() const { return slices_; }
  T* parameters() const { return parameters_.data(); }
  T* gradients() const { return gradients_.data(); }
  Index size() const { return size_; }

  // Running statistics, in order; moved to by passes in training and by steps.
  std::vector<Buffer> buffers() const;
  // States that stateful layers keep from batch to batch, by the layer's name.
  std::vector<KeptState<T>> kept_states() const;
  // Takes over states of all stateful layers, or of none; raises, and changes nothing, where one is missing or unknown.
  void keep_states(const std::vector<KeptState<const T>>& states);
  void forget_states();
  // The optimiser's state: how many blocks like the parameters' it has, which, and how many steps it has taken.
  int states() const { return states_of(optimizer_); }
  T* state(int k) const { return states_[k].data(); }
  Index updates() const { return updates_; }
  void set_updates(Index updates) { updates_ = updates; }
  // Zeroes the state where the optimiser is another one than before, or `afresh`.
  void prepare_optimizer(OptimizerKind, bool afresh);
  std::vector<double> clip_state() const { return clipper_.state(); }
  void restore_clip(const ClipPlan& plan, const std::vector<double>& state) { clipper_.restore(plan, state); }

  // Moves to the device of `library`, or back to the CPU where it is null; an error where the device cannot run a
  // layer.
  void move_to(const DeviceLibrary* library);
  bool on_device() const { return device_ != nullptr; }
  // Around the time that someone outside may read and write the blocks: while any is lent, they are made to agree with
  // the device's at every call.
  void lend();
  void take_back() { --lent_; }
  // Between the two, x, targets and lengths of `train` are these and do not change.
  void hold(const Samples<T>&);
  void release();

  // y = network(x) and what a backward pass needs of it.
  void forward(Context, Matrix<const T> x, const Index* lengths, Matrix<T> y, Mode);
  // Fills the gradient block from dC/dy of the batch last sent forward; writes dC/dx.
  void backward(Context, Matrix<const T> dy, Matrix<T> dx);
  // What a stage read in the last forward pass; valid until the next call.
  Matrix<const T> stage_input(std::size_t stage) const { return input_of(stage, kept_); }

  void predict(Context, Matrix<const T> x, const Index* lengths, Matrix<T> y, Index batch);
  LossResult evaluate(Context, LossKind, const Samples<T>&, Index batch);
  // One forward and one backward pass over all samples as one batch, recorded.
  LossResult record_gradients(Context, LossKind, const Samples<T>&, Mode, Record*);
  // What the penalties add to the loss.
  double penalty(Context);
  // One step by the gradients that are in the gradient block, after clipping.
  ClipEntry update(Context, const StepRule&, const ClipPlan&);

  // Steps over order[0 ... count) in batches, the last perhaps smaller.
  TrainResult train(Context, const TrainPlan&, const Samples<T>&, const Index* order, Index count, Record*);
  Producer find_producer(Context, const TrainPlan&, const Samples<T>&, const Index* order, Index count);

 private:
  struct Lock;
  // A block of rows of one layer's weight: the unit in which parameters step. What else a layer has goes with its
  // first block; rows.count is 0 where it has no weight.
  struct WeightBlock {
    std::size_t layer;
    Rows rows;
  };
  // Where the gradients of a stage's inputs go: to the error of stage `from` and of stage `skip` (none for -2; the
  // input's for -1), added to what is there or not.
  struct Flow {
    int from = -1, skip = -2;
    bool adds = false, skip_adds = false;
    bool fusible = false;  // the only stage above it may multiply by its derivative
    int joint = -1;        // it begins a branch (or is the shortcut) of the block that this stage closes
    bool shortcut = false;
  };
  class Builder;

  std::unique_ptr<Recorder<T>> make_recorder(Index window) const;
  void reserve(Index batch);
  void gather(const Samples<T>&, const Index* order, Index count, Samples<T>* batch);
  bool shares_rows(Index batch) const;
  double work_between_meetings(Index batch) const;

  // The samples of the step after this one, which lie anywhere: a few lines of the cache are asked for between one
  // layer and the next, no more than the memory serves meanwhile. On one thread only.
  struct Ahead {
    const Index* order = nullptr;
    Index rows = 0, row = 0, line = 0;
  };
  void look_ahead(const Samples<T>&, const Index* order, Index count);
  void fetch_some();

  // The part of a device (program_device.cpp).
  NetworkPlan plan() const;
  HostBlocks<T> host_blocks() const;
  void fetch();
  template <class Body>
  auto on_device(bool changes, Body&& body);

  // The parts of a pass (program_pass.cpp), over some rows of the batch.
  Matrix<const T> output_of(int stage, Index batch) const;
  Matrix<const T> input_of(std::size_t layer, Index batch) const { return output_of(flow_[layer].from, batch); }
  void forward_rows(const Pass<T>&, Index batch, Rows rows);
  void pass_back(const Pass<T>&, std::size_t layer, Index batch, Rows rows, Matrix<T> input_error);
  void backward_rows(const Pass<T>&, Index batch, Rows rows, std::size_t block, Matrix<T> input_error);
  void run_forward(Context, Matrix<const T> x, const Index* lengths, Mode);
  void begin(const Pass<T>&, Index batch);
  void make_sums(const Pass<T>&);
  Index targets_of(const Samples<T>&) const;
  Index evaluate_rows(const Pass<T>&, LossKind, const Samples<T>&, Index whole, Rows rows, Matrix<T> error);
  LossResult run_rows(Context, LossKind, const Samples<T>&, Mode, Recorder<T>*);
  LossResult add_costs(Index rows, Index correct) const;  // rows of the loss: steps of sequences
  double gradient_bound(Context, Index batch) const;

  // The parts of a step (program_step.cpp).
  template <class Body>
  void for_each_other_slice(std::size_t layer, Body&& body) const {
    for (std::size_t i = first_slice_[layer]; i < first_slice_[layer + 1]; ++i)
      if (i != weight_of_[layer]) body(i);
  }
  void make_block(const Pass<T>&, Index batch, const WeightBlock&);
  void step_block(const Pass<T>&, const WeightBlock&, const StepRule&);
  void run_parameters(Context, Index batch, Recorder<T>*);
  void step_parameters(Context, Index batch, const StepRule&, Recorder<T>*, bool made);
  void step_slice(const Pass<T>&, std::size_t slice, Index block, Rows rows, const StepRule&);
  double largest(Context, const T* block, const Slice&) const;
  double largest_in(Context, const T* block) const;
  Fault check_step(Context, double steepest, const StepRule&, double* bound) const;
  bool keeps_nothing(const TrainPlan&) const;
  Fault run_step(Context, const TrainPlan&, const Samples<T>&, Index step, Recorder<T>*, double* bound, LossResult*,
                 ClipEntry*);

  // Clipping, amplification, constraints (program_clip.cpp).
  void amplify(Context, const std::vector<double>& factors);
  ClipEntry clip(Context, const ClipPlan&);
  void constrain(Context);
  void train_steps(Context, const TrainPlan&, const Samples<T>&, const Index* order, Index count, Record*,
                   TrainResult*);

  Index inputs_, steps_, output_steps_ = 1;
  bool reads_sequences_, gives_sequences_ = false;
  Index size_ = 0;
  std::vector<std::unique_ptr<Layer<T>>> layers_;
  std::vector<StageInfo> stages_;
  std::vector<Slice> slices_;
  std::vector<std::size_t> weight_of_;    // by layer: its weight's slice
  std::vector<std::size_t> first_slice_;  // by layer, and one more for the end
  std::vector<WeightBlock> weight_blocks_;
  std::vector<Flow> flow_;            // by layer
  std::vector<double> slice_scales_;  // what clipping multiplies gradients by, by slice
  std::vector<Layer<T>*> hooked_;
  std::vector<std::size_t> on_the_way_;     // slices whose gradients the backward pass itself makes
  Index weights_ = 0, largest_weight_ = 0;  // multiply-adds of a row, numbers of a matrix
  bool rows_apart_ = true, penalised_ = false, constrained_ = false, adds_ = false;
  Block<T> parameters_, gradients_;
  OptimizerKind optimizer_ = OptimizerKind::sgd;
  Block<T> states_[most_states];
  Index updates_ = 0;
  mutable double velocity_bound_ = 0;  // above every |velocity|
  Clipper clipper_;
  Index passes_ = 0;  // forward passes in training outside a fit

  Block<T> arena_;
  Block<Index> classes_, lengths_;
  Block<double> costs_;
  Index capacity_ = 0;
  Index kept_ = 0;  // rows of the last forward pass whose values are still there
  T* input_ = nullptr;
  Index input_stride_ = 0;
  T* target_ = nullptr;
  Matrix<T> scratch_ = {nullptr, 0, 0, 0};
  Matrix<const T> x_ = {nullptr, 0, 0, 0};  // of the pass that is running
  const Index* x_lengths_ = nullptr;
  Matrix<const T> samples_ = {nullptr, 0, 0, 0};
  Ahead ahead_;
  std::vector<double> bounds_;  // by block of rows, layer, and input or error
  std::size_t row_blocks_ = 1;
  std::unique_ptr<Recorder<T>> recorder_;
  std::mutex in_use_;

  std::unique_ptr<DeviceProgram<T>> device_;
  bool host_newer_ = false, device_newer_ = false;
  std::atomic<int> lent_{0};
};

}  // namespace gradwell
