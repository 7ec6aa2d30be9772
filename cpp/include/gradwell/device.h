// Another device than the CPU, in a library of its own that is looked for when it is first asked for.
//
// The library gets a network as plain facts (NetworkPlan) and keeps parameters, optimiser state, arena and record on
// the device; a Program on the host stays beside it, with the same parameters, for all that is not arithmetic. What
// both sides mean by these types is numbered: a library of another number is refused.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gradwell/kernels.h"
#include "gradwell/network.h"
#include "gradwell/record.h"
#include "gradwell/training.h"

namespace gradwell {

constexpr int device_interface = 1;

enum class StageKind : int { none, dense, activation, batchnorm, layernorm, dropout, joint, embedding, recurrent };

// Offsets into the parameter block, -1 where there is none.
struct DirectionPlan {
  Index weight = -1, recurrent_weight = -1, bias = -1, recurrent_bias = -1, peephole = -1;
  bool reverse = false;
};

// One stage (layers/): what it computes, where its input comes from and where its input's gradient goes, as in Program.
struct StagePlan {
  StageKind kind = StageKind::none;
  std::string reason;             // of none: what no device runs
  Index inputs = 0, outputs = 0;  // of one of its rows
  Index steps = 1;                // of its rows in a row of the batch
  int from = -1, skip = -2;
  bool adds = false, skip_adds = false, shortcut = false;
  int joint = -1;
  Activation activation = {ActivationKind::identity, 0};
  Index slope = -1;  // of a learned activation
  Index weight = -1, bias = -1, gamma = -1, beta = -1, scale = -1;
  double epsilon = 0, momentum = 0, rate = 0, fixed_scale = 1;
  Index buffer = -1;  // where running mean and variance begin among all buffers, laid one after the other
  CellKind cell = CellKind::rnn;
  ActivationKind cell_activation = ActivationKind::tanh;
  Index hidden = 0, time_steps = 0;
  Index vocabulary = 0;  // rows of an embedding's table
  bool sequences = false;
  std::vector<DirectionPlan> directions;
};

struct NetworkPlan {
  Index inputs = 0;        // of a row of the batch
  Index steps = 1;         // of a row of the input, where it is a sequence
  Index output_steps = 1;  // targets of a row
  bool gives_sequences = false;
  Index size = 0;  // of the parameter block
  std::vector<StagePlan> stages;
  std::vector<Slice> slices;
  bool flush_denormals = true;
};

// A program's memory on the host: what is copied to the device, and back.
template <class T>
struct HostBlocks {
  T* parameters = nullptr;
  T* gradients = nullptr;
  T* states[most_states] = {};
  int state_count = 0;
  std::vector<Buffer> buffers;
};

// What is kept from step to step beside the blocks.
struct StepMemory {
  Index updates = 0;                      // steps the optimiser has taken
  std::function<double(double)> allowed;  // the norm that a clipping by what it has seen allows
};

template <class T>
class DeviceProgram {
 public:
  virtual ~DeviceProgram() = default;

  virtual void put(const HostBlocks<T>&) = 0;
  virtual void get(const HostBlocks<T>&) = 0;

  // The samples of the next runs of `train`, kept on the device where they fit; nothing changes in them until
  // `release`.
  virtual void hold(const Samples<T>&) = 0;
  virtual void release() = 0;

  // As in Program; what the way back needs of a forward pass is kept until the next call.
  virtual void forward(Matrix<const T> x, const Index* lengths, Matrix<T> y, Mode) = 0;
  virtual void backward(Matrix<const T> dy, Matrix<T> dx) = 0;
  virtual void predict(Matrix<const T> x, const Index* lengths, Matrix<T> y, Index batch) = 0;
  virtual LossResult evaluate(LossKind, const Samples<T>&, Index batch) = 0;
  virtual LossResult record_gradients(LossKind, const Samples<T>&, Mode, Record*) = 0;
  virtual TrainResult train(const TrainPlan&, const Samples<T>&, const Index* order, Index count, const StepMemory&,
                            Record*) = 0;
};

struct DeviceFacts {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int processors = 0;
  Index memory = 0, free = 0;   // bytes
  int driver = 0, runtime = 0;  // 1000 major + 10 minor
};

// Seconds of every launch of one kernel, and the bytes that it reads and writes in one.
struct KernelTiming {
  std::vector<double> seconds;
  Index bytes_moved = 0;
};

struct DeviceLibrary {
  int interface;
  std::size_t layout;  // device_layout, as the library was compiled
  // Throws std::runtime_error, in one sentence, where there is no device that can be used.
  DeviceFacts (*facts)();
  // The kernels on arrays of the host, which are copied to the device and back.
  void (*fill_float)(Kernels<float>&);
  void (*fill_double)(Kernels<double>&);
  std::unique_ptr<DeviceProgram<float>> (*program_float)(const NetworkPlan&);
  std::unique_ptr<DeviceProgram<double>> (*program_double)(const NetworkPlan&);
  void (*set_precision)(Precision);
  // Times a kernel by its name on float32 arrays of the device of `bytes` each (8192 or more), filled there.
  // std::invalid_argument for a name it does not know.
  KernelTiming (*time_kernel)(const std::string& name, Index bytes, int repeats);
};

// Changes where a type does that both sides share.
constexpr std::size_t device_layout = sizeof(NetworkPlan) + 7 * sizeof(StagePlan) + 31 * sizeof(Slice) +
                                      127 * sizeof(TrainPlan) + 511 * sizeof(Kernels<float>) + 2047 * sizeof(Record) +
                                      8191 * sizeof(TrainResult) + 32767 * sizeof(DeviceFacts);

// Every library has one such function, of C's linkage: its name is device_entry.
using DeviceEntry = const DeviceLibrary* (*)();
constexpr const char* device_entry = "gradwell_device_library";

// Loads the library at `path` and takes its kernels over, once; std::runtime_error says in a sentence why it cannot be
// used. A second call returns what the first found.
const DeviceLibrary& open_device_library(const std::string& path);
// The library that is open, or null.
const DeviceLibrary* device_library();

// The table that single kernels are called through: the CPU's, or the device's.
template <class T>
const Kernels<T>& placed_kernels();
void place_kernels(bool on_device);
bool kernels_on_device();

}  // namespace gradwell
