// The compiled network: layers in order, one block of parameters, one of gradients, one arena, the step loop.
//
// A Program is built once from layer descriptions. Its arena is planned for the largest batch it has been asked
// to serve; a smaller one reuses it, and no step allocates. Two threads may call it: the second waits
// until the first is done.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "gradwell/clipper.h"
#include "gradwell/kernels.h"
#include "gradwell/memory.h"
#include "gradwell/record.h"
#include "gradwell/recurrence.h"

namespace gradwell {

// What keeps the weights of a layer small.
enum class Constraint : int { none, max_norm, clip };
struct Penalty {
  double l1 = 0, l2 = 0;  // added to the loss: l1 |w|_1 + l2/2 |w|^2
};

// `kind` is "recurrent" (see below), "convlstm" (units: filters; kernel), "embedding" (units, vocabulary), "flatten",
// "dense" (units, bias), "activation" (activation), "prelu", "batchnorm" (epsilon, momentum, gamma, beta), "layernorm"
// (epsilon, gamma, beta), "dropout" (rate), or a joint of a residual block: "residual" opens one (scale, learned),
// "shortcut" ends its branch before a dense layer on the skip connection, "end" closes it.
struct LayerSpec {
  std::string kind;
  std::string name;
  Index units = 0;
  bool bias = true;
  Activation activation = {ActivationKind::identity, 0};
  double epsilon = 0, momentum = 0, rate = 0, scale = 1;
  bool gamma = true, beta = true, learned = false;
  // Of a recurrent layer, in one direction or two; the rest is as in recurrence.h.
  RecurrenceSettings cell = {};
  bool both = false, sequences = false, stateful = false, recurrent_bias = false, peephole = false;
  Penalty recurrent_penalty;
  Index vocabulary = 0, kernel = 0;
  Penalty weight_penalty, bias_penalty;
  Constraint constraint = Constraint::none;
  double constraint_limit = 0;
};

// A named part of the parameter block: `rows` x `columns` numbers from `offset`; rows is 0 for a vector.
struct Slice {
  std::string name;
  Index rows;
  Index columns;
  Index offset;
  int stage;
  bool decays;  // weights do, biases and slopes do not
  Penalty penalty = {};
  Constraint constraint = Constraint::none;
  double constraint_limit = 0;

  Index size() const { return (rows ? rows : 1) * columns; }
  StepRule rule(StepRule step) const {
    if (!decays) step.weight_decay = step.l2 = 0;
    step.l2 += penalty.l2;
    step.l1 += penalty.l1;
    return step;
  }
  // The same for plain descent, of which that is all there is.
  Sgd plain_rule(const StepRule& step) const {
    return {step.learning_rate, decays ? step.weight_decay : 0.0, (decays ? step.l2 : 0.0) + penalty.l2};
  }
};

// A run of rows, of a batch or of a weight.
struct Rows {
  Index first, count;
};

// `from` is the stage whose output it reads, -1 the network's input; `above` the one that reads its own output, the
// joint where a residual block begins at it, -1 for the last. Its output is `steps` steps of a sequence, or 1.
struct StageInfo {
  std::string name;
  std::string kind;  // such as "dense+sigmoid"
  Index inputs;
  Index outputs;
  int from = -1;
  int above = -1;
  Index steps = 1;
  Index time_steps = 0;     // of the sequences that a recurrent layer reads
  int time_quantities = 0;  // of its time record, for each direction
  int directions = 0;
  bool backwards = false;  // the first direction reads from the end
};

// A state (rows, columns) that goes from one batch to the next.
template <class Element>
struct KeptState {
  std::string name;
  Element* data;
  Index rows, columns;
};

// Numbers that belong to a layer but are not trained, such as running statistics.
struct Buffer {
  std::string name;
  double* data;
  Index size;
};

// How a pass is meant. `seed` and `step` are what dropout draws from; a pass that `carries` begins from the states that
// were kept and keeps its last; one that `goes_back` is followed by the way back.
struct Mode {
  bool training = false;
  std::uint64_t seed = 0, step = 0;
  bool carries = false, goes_back = false;
};

// One step's worth of samples: rows of x, their targets, and the lengths of their sequences or null, chosen by `order`.
// Where the outputs are sequences there is a target for every step: classes (rows * steps), values (rows, steps *
// units).
template <class T>
struct Samples {
  Matrix<const T> x;
  Targets<T> targets;
  const Index* lengths = nullptr;
};

// What stopped a run of steps.
enum class Fault : int { none, loss, gradient, update };

struct TrainPlan {
  LossKind loss = LossKind::quadratic;
  StepRule rule = {};                  // but for the learning rate
  std::vector<double> learning_rates;  // of each step, or one for all
  ClipPlan clip = {};
  std::vector<double> amplify;  // what the gradient of each slice is multiplied by; empty: nothing
  std::uint64_t seed = 0;
  Index batch = 1;
  Index first_step = 0;    // number of the first step of this run
  Index record_every = 0;  // steps whose number is a multiple are recorded; 0: none

  double learning_rate(Index step) const {
    return learning_rates[learning_rates.size() > 1 ? static_cast<std::size_t>(step) : 0];
  }
};

// What clipping did in one step: norms over all parameters, and the slice that had most of it.
struct ClipEntry {
  double before, after;
  Index cause;
};

struct TrainResult {
  std::vector<double> losses;  // mean of each step's batch, before its update
  std::vector<Index> counts;   // over so many rows, or steps of sequences
  Index correct = 0;
  Index samples = 0;             // or steps of sequences
  Fault fault = Fault::none;     // found in the step after the last of `losses`; its update was not applied
  std::vector<ClipEntry> clips;  // of each step, where there is clipping
  double plain_seconds = 0, recorded_seconds = 0;
  Index plain_steps = 0, recorded_steps = 0;
};

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
  double penalty(Context) const;
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
};

}  // namespace gradwell
