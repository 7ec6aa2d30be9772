#include "cuda/queue.h"

#include <atomic>
#include <map>
#include <mutex>
#include <new>

#include "cuda/product.h"

namespace gradwell {
namespace cuda {
namespace {

std::atomic<Precision> chosen{Precision::float32};

}  // namespace

void check_cuda(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // a failed call leaves its error behind for the next
  if (error == cudaErrorMemoryAllocation) throw std::bad_alloc();
  throw std::runtime_error(std::string("[cuda] ") + call + " failed: " + cudaGetErrorString(error) + " (" +
                           cudaGetErrorName(error) + ")");
}

void allow_shared(const void* kernel, std::size_t bytes, const char* name) {
  static std::mutex mutex;
  static std::map<const void*, std::size_t> allowed;
  const std::lock_guard<std::mutex> hold(mutex);
  std::size_t& now = allowed[kernel];
  if (bytes <= now) return;
  check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)), name);
  now = bytes;
}

void set_precision(Precision precision) {
  chosen = precision;
}
Precision precision() {
  return chosen;
}

Queue::Queue() {
  check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  try {
    const std::size_t bytes = part_numbers * sizeof(double) + part_counters * sizeof(unsigned);
    void* memory = nullptr;
    check_cuda(cudaMalloc(&memory, bytes), "cudaMalloc");
    parts_ = static_cast<double*>(memory);
    check_cuda(cudaMemsetAsync(memory, 0, bytes, stream_), "cudaMemsetAsync");
    products_ = new Products;
  } catch (...) {
    cudaFree(parts_);
    cudaStreamDestroy(stream_);
    throw;
  }
}

Queue::~Queue() {
  delete products_;
  cudaFree(parts_);
  cudaStreamDestroy(stream_);
}

}  // namespace cuda
}  // namespace gradwell
