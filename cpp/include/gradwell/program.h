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

#include "gradwell/kernels.h"
#include "gradwell/memory.h"
#include "gradwell/record.h"

namespace gradwell {

// `kind` is "dense" (units, bias), "activation" (activation) or "prelu".
struct LayerSpec {
  std::string kind;
  std::string name;
  Index units = 0;
  bool bias = true;
  Activation activation = {ActivationKind::identity, 0};
};

// A named part of the parameter block: `rows` x `columns` numbers from `offset`; rows is 0 for a vector.
struct Slice {
  std::string name;
  Index rows;
  Index columns;
  Index offset;
  int stage;
  bool decays;  // weights do, biases and slopes do not

  Index size() const { return (rows ? rows : 1) * columns; }
  Sgd rule(Sgd sgd) const { return {sgd.learning_rate, decays ? sgd.weight_decay : 0, decays ? sgd.l2 : 0}; }
};

// A run of rows, of a batch or of a weight.
struct Rows {
  Index first, count;
};

struct StageInfo {
  std::string name;
  std::string kind;  // such as "dense+sigmoid"
  Index inputs;
  Index outputs;
};

// One step's worth of samples: rows of x and their targets, chosen by `order`.
template <class T>
struct Samples {
  Matrix<const T> x;
  Targets<T> targets;
};

// What stopped a run of steps.
enum class Fault : int { none, loss, gradient, update };

struct TrainPlan {
  LossKind loss;
  Sgd sgd;
  Index batch;
  Index first_step;    // number of the first step of this run
  Index record_every;  // steps whose number is a multiple are recorded; 0: none
};

struct TrainResult {
  std::vector<double> losses;  // mean of each step's batch, before its update
  Index correct = 0;
  Index samples = 0;
  Fault fault = Fault::none;  // found in the step after the last of `losses`; its update was not applied
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
  Program(std::vector<LayerSpec> specs, Index inputs);
  ~Program();

  Index inputs() const { return inputs_; }
  Index outputs() const { return stages_.back().outputs; }
  const std::vector<StageInfo>& stages() const { return stages_; }
  const std::vector<Slice>& slices() const { return slices_; }
  T* parameters() const { return parameters_.data(); }
  T* gradients() const { return gradients_.data(); }
  Index size() const { return size_; }

  // y = network(x) and what a backward pass needs of it.
  void forward(Context, Matrix<const T> x, Matrix<T> y);
  // Fills the gradient block from dC/dy of the batch last sent forward; writes dC/dx.
  void backward(Context, Matrix<const T> dy, Matrix<T> dx);
  bool can_go_backward(Index batch) const { return kept_ == batch; }

  void predict(Context, Matrix<const T> x, Matrix<T> y, Index batch);
  LossResult evaluate(Context, LossKind, const Samples<T>&, Index batch);
  // One forward and one backward pass over all samples as one batch, recorded.
  LossResult record_gradients(Context, LossKind, const Samples<T>&, Record*);
  void update(Context, Sgd);

  // Steps over order[0 ... count) in batches, the last perhaps smaller.
  TrainResult train(Context, const TrainPlan&, const Samples<T>&, const Index* order, Index count, Record*);
  Producer find_producer(Context, const TrainPlan&, const Samples<T>&, const Index* order, Index count);

 private:
  struct Lock;
  // A block of rows of one layer's weight: the unit in which parameters step.
  struct WeightBlock {
    std::size_t layer;
    Rows rows;
  };

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
  Matrix<const T> input_of(std::size_t layer, Index batch) const;
  void forward_rows(const Pass<T>&, Index batch, Rows rows);
  void backward_rows(const Pass<T>&, Index batch, Rows rows, std::size_t block);
  void run_forward(Context, Matrix<const T> x);
  LossResult run_rows(Context, LossKind, const Samples<T>&, Recorder<T>*);
  LossResult add_costs(Index rows, Index correct) const;
  double gradient_bound(Index batch) const;

  // The parts of a step (program_step.cpp).
  template <class Body>
  void for_each_other_slice(std::size_t layer, Body&& body) const;
  void make_block(const Pass<T>&, Index batch, const WeightBlock&);
  void step_block(const Pass<T>&, const WeightBlock&, Sgd);
  void run_parameters(Context, Index batch, Recorder<T>*);
  void step_parameters(Context, Index batch, Sgd, Recorder<T>*, bool made);
  void step_slice(const Pass<T>&, std::size_t slice, Index block, Rows rows, Sgd);
  double largest(Context, const T* block, const Slice&) const;
  double largest_in(Context, const T* block) const;
  Fault check_step(Context, double steepest, Sgd, double* bound) const;
  Fault run_step(Context, const TrainPlan&, const Samples<T>&, Recorder<T>*, double* bound, LossResult*);
  void train_steps(Context, const TrainPlan&, const Samples<T>&, const Index* order, Index count, Record*,
                   TrainResult*);

  Index inputs_;
  Index size_ = 0;
  std::vector<std::unique_ptr<Layer<T>>> layers_;
  std::vector<StageInfo> stages_;
  std::vector<Slice> slices_;
  std::vector<std::size_t> weight_of_;    // by layer: its weight's slice
  std::vector<std::size_t> first_slice_;  // by layer, and one more for the end
  std::vector<WeightBlock> weight_blocks_;
  Index weights_ = 0, largest_weight_ = 0;
  bool rows_apart_ = true;
  Block<T> parameters_, gradients_;

  Block<T> arena_;
  Block<Index> classes_;
  Block<double> costs_;
  Index capacity_ = 0;
  Index kept_ = 0;  // rows of the last forward pass whose values are still there
  T* input_ = nullptr;
  Index input_stride_ = 0;
  T* target_ = nullptr;
  Matrix<const T> x_ = {nullptr, 0, 0, 0};  // of the pass that is running
  Matrix<const T> samples_ = {nullptr, 0, 0, 0};
  Ahead ahead_;
  std::vector<double> bounds_;  // by block of rows, layer, and input or error
  std::size_t row_blocks_ = 1;
  std::unique_ptr<Recorder<T>> recorder_;
  std::mutex in_use_;
};

}  // namespace gradwell
