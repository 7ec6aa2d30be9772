#include "cuda/timing.h"

#include <functional>
#include <map>
#include <memory>

#include "cuda/activation.h"
#include "cuda/batchnorm.h"
#include "cuda/launch.h"
#include "cuda/layernorm.h"
#include "cuda/memory.h"
#include "cuda/optimizers.h"
#include "cuda/statistics.h"

namespace gradwell {
namespace cuda {
namespace {

constexpr Index columns = 1024;
constexpr double epsilon = 1e-5;
constexpr int warm_up = 3;

// Numbers in [-1, 1) that follow from their places: of zeros, no exponent would be counted.
struct Scatter {
  float* to;
  std::uint32_t salt;
  __device__ void operator()(Index i, Index j) const {
    std::uint32_t word = static_cast<std::uint32_t>(i * columns + j) * 2654435761u + salt;
    word = (word ^ word >> 15) * 2246822519u;
    to[i * columns + j] = static_cast<float>(static_cast<std::int32_t>(word ^ word >> 13)) / 2147483648.0f;
  }
};

class Event {
 public:
  Event() { check_cuda(cudaEventCreateWithFlags(&event_, cudaEventDefault), "cudaEventCreateWithFlags"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(const Queue& queue) { check_cuda(cudaEventRecord(event_, queue.stream()), "cudaEventRecord"); }
  double since(const Event& start) {
    check_cuda(cudaEventSynchronize(event_), "cudaEventSynchronize");
    float milliseconds = 0;
    check_cuda(cudaEventElapsedTime(&milliseconds, start.event_, event_), "cudaEventElapsedTime");
    return static_cast<double>(milliseconds) / 1e3;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

// Arrays of one measurement, and what is called again and again.
struct Bench {
  Queue queue;
  Index rows;
  std::vector<std::shared_ptr<void>> blocks;
  std::function<void()> call;

  template <class V>
  V* zeros(Index count) {
    auto block = std::make_shared<DeviceBlock<V>>(queue, count);
    V* const data = block->data();
    blocks.push_back(std::move(block));
    return data;
  }
  template <class V>
  V* values(const std::vector<V>& from) {
    V* const to = zeros<V>(static_cast<Index>(from.size()));
    copy(queue, to, from.data(), static_cast<Index>(from.size()));
    queue.wait();
    return to;
  }
  Matrix<float> result() { return {zeros<float>(rows * columns), rows, columns, columns}; }
  Matrix<const float> numbers() {
    const Matrix<float> m = result();
    const Scatter body = {m.data, static_cast<std::uint32_t>(blocks.size())};
    for_each_element("scatter", queue, rows, columns, body);
    return {m.data, m.rows, m.columns, m.stride};
  }
  float* ones(Index count) { return values(std::vector<float>(static_cast<std::size_t>(count), 1.0f)); }
};

void copying(Bench& b) {
  const Matrix<const float> x = b.numbers();
  const Matrix<float> y = b.result();
  b.call = [=, &b] { copy(b.queue, y.data, x.data, x.rows * x.columns); };
}

template <ActivationKind kind>
void forward(Bench& b) {
  const Matrix<const float> x = b.numbers();
  const Matrix<float> y = b.result();
  b.call = [=, &b] { activation_forward(b.queue, Activation{kind, 1}, x, y); };
}

template <ActivationKind kind>
void backward(Bench& b) {
  const Matrix<const float> dy = b.numbers(), y = b.numbers();
  const Matrix<float> dx = b.result();
  b.call = [=, &b] { activation_backward(b.queue, Activation{kind, 1}, Saved::output, dy, y, dx); };
}

constexpr Activation none = {ActivationKind::identity, 0};
constexpr Matrix<float> nothing = {nullptr, 0, 0, 0};

void batchnorm_both(Bench& b, bool back) {
  const Matrix<const float> x = b.numbers(), delta = back ? b.numbers() : x;
  const Matrix<float> y = b.result();
  float *const gamma = b.ones(columns), *const beta = b.zeros<float>(columns);
  double *const mean = b.zeros<double>(columns), *const variance = b.zeros<double>(columns);
  const auto go = [=, &b] { batchnorm_forward(b.queue, x, gamma, beta, epsilon, none, nothing, y, mean, variance); };
  b.call = go;
  if (!back) return;
  go();
  float *const dgamma = b.zeros<float>(columns), *const dbeta = b.zeros<float>(columns);
  b.call = [=, &b] { batchnorm_backward(b.queue, delta, x, gamma, mean, variance, epsilon, false, dgamma, dbeta, y); };
}

void layernorm_both(Bench& b, bool back) {
  const Matrix<const float> x = b.numbers(), delta = back ? b.numbers() : x;
  const Matrix<float> y = b.result();
  float *const gamma = b.ones(columns), *const beta = b.zeros<float>(columns);
  double *const mean = b.zeros<double>(b.rows), *const variance = b.zeros<double>(b.rows);
  const auto go = [=, &b] { layernorm_forward(b.queue, x, gamma, beta, epsilon, none, nothing, y, mean, variance); };
  b.call = go;
  if (!back) return;
  go();
  b.call = [=, &b] { layernorm_backward_input(b.queue, delta, x, gamma, mean, variance, epsilon, y); };
}

void measuring(Bench& b) {
  const Matrix<const float> x = as_one_row(b.numbers());
  const Pieces cut = pieces_of(x.rows, x.columns);
  std::vector<PieceOf> all;
  for (Index piece = 0; piece < cut.count; ++piece) all.push_back({0, piece});
  const MeasureTask<float> task = {x.data, x.stride, x.rows, x.columns, 0};
  const MeasureTask<float>* const tasks = b.values(std::vector<MeasureTask<float>>{task});
  const PieceOf* const pieces = b.values(all);
  const MergeTask* const merges = b.values(std::vector<MergeTask>{{0, cut.count}});
  auto* const parts = b.zeros<StatisticsPart<float>>(cut.count);
  auto* const entry = b.zeros<MergedEntry<float>>(1);
  b.call = [=, &b] {
    measure_all(b.queue, tasks, pieces, cut.count, true, parts);
    merge_all(b.queue, static_cast<const StatisticsPart<float>*>(parts), merges, 1, entry);
  };
}

void adam(Bench& b) {
  const Matrix<const float> gradient = b.numbers(), start = b.numbers();
  const Index count = gradient.rows * gradient.columns;
  StepRule rule;
  rule.kind = OptimizerKind::adam;
  rule.momentum = 0.9;
  rule.decay = 0.999;
  rule.epsilon = 1e-8;
  RunState state = {};
  state.goes = 1;
  state.learning_rate = 1e-3;
  state.correction1 = state.correction2 = 1;
  std::vector<Span> spans = {{0, count}};
  const std::vector<Piece> cut = cut_spans(spans);
  const RunState* const on_device = b.values(std::vector<RunState>{state});
  const SliceRule* const rules = b.values(std::vector<SliceRule>(1));
  const double* const scales = b.values(std::vector<double>{1.0});
  const Span* const all = b.values(spans);
  const Piece* const pieces = b.values(cut);
  const auto piece_count = static_cast<Index>(cut.size());
  gradwell::StepState<float> states = {};
  for (auto& block : states.state) block = b.zeros<float>(count);
  float* const parameters = const_cast<float*>(start.data);  // its own, made above
  b.call = [=, &b] {
    optimizer_steps(b.queue, on_device, rule, rules, scales, parameters, gradient.data, states, all, Index{1}, pieces,
                    piece_count, static_cast<StepNorms*>(nullptr), static_cast<StepNorms*>(nullptr));
  };
}

// How often an array of the given size passes through memory: normalisation over the batch reads its input once for
// the moments and once more to use them.
struct Kernel {
  Index passes;
  void (*prepare)(Bench&);
};

const std::map<std::string, Kernel>& known() {
  static const std::map<std::string, Kernel> all = {
      {"copy", {2, copying}},
      {"relu_forward", {2, forward<ActivationKind::relu>}},
      {"relu_backward", {3, backward<ActivationKind::relu>}},
      {"tanh_forward", {2, forward<ActivationKind::tanh>}},
      {"tanh_backward", {3, backward<ActivationKind::tanh>}},
      {"sigmoid_forward", {2, forward<ActivationKind::sigmoid>}},
      {"sigmoid_backward", {3, backward<ActivationKind::sigmoid>}},
      {"batchnorm_forward", {3, [](Bench& b) { batchnorm_both(b, false); }}},
      {"batchnorm_backward", {5, [](Bench& b) { batchnorm_both(b, true); }}},
      {"layernorm_forward", {2, [](Bench& b) { layernorm_both(b, false); }}},
      {"layernorm_backward_input", {3, [](Bench& b) { layernorm_both(b, true); }}},
      {"measure", {1, measuring}},
      {"adam", {7, adam}},
  };
  return all;
}

}  // namespace

KernelTiming time_kernel(const std::string& name, Index bytes, int repeats) {
  const auto found = known().find(name);
  if (found == known().end()) {
    std::string names;
    for (const auto& entry : known()) names += (names.empty() ? "\"" : ", \"") + entry.first + "\"";
    throw std::invalid_argument("[time_device_kernel] name is \"" + name + "\"; needs one of " + names);
  }
  Bench bench;
  bench.rows = bytes / static_cast<Index>(columns * sizeof(float));
  found->second.prepare(bench);
  Event start, stop;
  KernelTiming timing;
  timing.bytes_moved = found->second.passes * bench.rows * columns * static_cast<Index>(sizeof(float));
  for (int i = -warm_up; i < repeats; ++i) {
    start.record(bench.queue);
    bench.call();
    stop.record(bench.queue);
    const double seconds = stop.since(start);
    if (i >= 0) timing.seconds.push_back(seconds);
  }
  return timing;
}

}  // namespace cuda
}  // namespace gradwell
