// The part of CUDA's run-time interface that cpp/src/cuda uses, on the CPU: memory of the device is memory, a stream
// does at once what it is told, and a kernel runs block by block, its threads taking turns (threads.h). So the sources
// of the kernels are compiled by any C++ compiler and tested where no GPU is. It says nothing about speed, nor about
// races between threads that no barrier orders.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <type_traits>
#include <utility>
#include <vector>

#include "threads.h"

#define GRADWELL_EMULATED 1
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __shared__ static thread_local
#define __launch_bounds__(...)

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice, cudaMemcpyDefault };
enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount, cudaDevAttrMaxSharedMemoryPerBlockOptin };
constexpr unsigned cudaStreamNonBlocking = 1, cudaHostAllocDefault = 0, cudaEventDefault = 0,
                   cudaEventDisableTiming = 2;

struct cudaDeviceProp {
  char name[256];
  int major, minor, multiProcessorCount;
  std::size_t totalGlobalMem, sharedMemPerBlockOptin;
};

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

namespace gradwell_emulator {
// Work that a stream takes down while it is captured, to be done again and again.
struct Work {
  std::vector<std::function<void()>> parts;
};
struct Stream {
  Work* captured = nullptr;
  void take(std::function<void()> part) {
    if (captured) {
      captured->parts.push_back(std::move(part));
    } else {
      part();
    }
  }
};
struct Event {
  std::chrono::steady_clock::time_point recorded;
};
}  // namespace gradwell_emulator

using cudaStream_t = gradwell_emulator::Stream*;
using cudaGraph_t = gradwell_emulator::Work*;
using cudaGraphExec_t = gradwell_emulator::Work*;
using cudaEvent_t = gradwell_emulator::Event*;

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
  void* attrs = nullptr;
  unsigned numAttrs = 0;
};

cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* to, int device);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total);
cudaError_t cudaGetLastError();
const char* cudaGetErrorString(cudaError_t error);
const char* cudaGetErrorName(cudaError_t error);
cudaError_t cudaDeviceSynchronize();

cudaError_t cudaMalloc(void** to, std::size_t bytes);
cudaError_t cudaFree(void* p);
cudaError_t cudaHostAlloc(void** to, std::size_t bytes, unsigned flags);
cudaError_t cudaFreeHost(void* p);
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream);

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* to, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* to, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* to);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* to, cudaGraph_t graph, unsigned long long flags = 0);
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph);

template <class F>
cudaError_t cudaFuncSetAttribute(F*, cudaFuncAttribute, int) {
  return cudaSuccess;
}

template <class... P, class... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(P...), A&&... arguments) {
  using namespace gradwell_emulator;
  const unsigned blocks = config->gridDim.x, threads = config->blockDim.x;
  if (blocks == 0 || threads == 0 || threads > 1024 || config->gridDim.y * config->gridDim.z != 1)
    return cudaErrorInvalidValue;
  const std::size_t shared = config->dynamicSmemBytes;
  if (shared > most_shared) return cudaErrorInvalidValue;
  config->stream->take([=] { run_grid(blocks, threads, shared, [&] { kernel(static_cast<P>(arguments)...); }); });
  return cudaSuccess;
}

// threadIdx.x and its like, which every thread reads as its own.
template <unsigned (*read)()>
struct EmulatedIndex {
  struct {
    operator unsigned() const { return read(); }
  } x;
};
inline const EmulatedIndex<gradwell_emulator::thread_index> threadIdx = {};
inline const EmulatedIndex<gradwell_emulator::block_index> blockIdx = {};
inline const EmulatedIndex<gradwell_emulator::block_size> blockDim = {};
inline const EmulatedIndex<gradwell_emulator::grid_size> gridDim = {};
constexpr int warpSize = 32;

inline void __syncthreads() {
  gradwell_emulator::meet_block();
}
inline int __syncthreads_or(int value) {
  return gradwell_emulator::any_of_block(value);
}
inline void __syncwarp(unsigned = 0xffffffffu) {
  gradwell_emulator::meet_warp();
}
template <class V>
V __shfl_xor_sync(unsigned, V value, int mask) {
  return gradwell_emulator::of_lane(value, gradwell_emulator::lane() ^ mask);
}
template <class V>
V __shfl_down_sync(unsigned, V value, unsigned by) {
  const int from = gradwell_emulator::lane() + static_cast<int>(by);
  return gradwell_emulator::of_lane(value, from < 32 ? from : gradwell_emulator::lane());
}
template <class V>
V __shfl_sync(unsigned, V value, int from) {
  return gradwell_emulator::of_lane(value, from & 31);
}
template <class V, class W>
V atomicAdd(V* to, W value) {
  const V before = *to;
  *to += static_cast<V>(value);
  return before;
}
template <class V, class W>
V atomicMax(V* to, W value) {
  const V before = *to;
  if (static_cast<V>(value) > before) *to = static_cast<V>(value);
  return before;
}
template <class V, class W>
V atomicOr(V* to, W value) {
  const V before = *to;
  *to |= static_cast<V>(value);
  return before;
}
inline void __threadfence() {}
template <class V>
V __ldg(const V* p) {
  return *p;
}
