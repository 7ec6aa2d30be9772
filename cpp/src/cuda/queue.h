// A stream of work on the device, and the errors it may end in. Private to cpp/src/cuda.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "gradwell/types.h"

namespace gradwell {
namespace cuda {

// Throws std::bad_alloc where there is no memory left, else std::runtime_error that names the call.
void check_cuda(cudaError_t error, const char* call);

// Of products of float32 from here on.
void set_precision(Precision precision);
Precision precision();

// Raises what a kernel may have of shared memory; it is never lowered, since captured launches rely on it.
void allow_shared(const void* kernel, std::size_t bytes, const char* name);

class Products;  // product.h

// What is done in order. Work on arrays of the host ends with `wait`.
class Queue {
 public:
  Queue();
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  cudaStream_t stream() const { return stream_; }
  Products& products() const { return *products_; }
  // For the parts of one function's sums: numbers, and counters that are 0 before it and after it.
  static constexpr Index part_numbers = 160 * 1024, part_counters = 512;
  double* parts() const { return parts_; }
  unsigned* counters() const { return reinterpret_cast<unsigned*>(parts_ + part_numbers); }
  void wait() const { check_cuda(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

 private:
  cudaStream_t stream_ = nullptr;
  Products* products_ = nullptr;
  double* parts_ = nullptr;
};

}  // namespace cuda
}  // namespace gradwell
