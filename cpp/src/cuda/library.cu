// The one function that the core looks for in this library.
#include <cstdio>

#include "cuda/level.h"
#include "cuda/program.h"
#include "cuda/timing.h"
#include "gradwell/device.h"

namespace gradwell {
namespace cuda {
namespace {

DeviceFacts facts() {
  DeviceFacts found;
  if (cudaDriverGetVersion(&found.driver) != cudaSuccess || found.driver == 0)
    throw std::runtime_error("no NVIDIA driver was found");
  check_cuda(cudaRuntimeGetVersion(&found.runtime), "cudaRuntimeGetVersion");
  if (found.driver / 1000 < found.runtime / 1000) {
    char text[160];
    std::snprintf(text, sizeof text, "the NVIDIA driver is for CUDA %d.%d; this library needs CUDA %d or newer",
                  found.driver / 1000, found.driver % 1000 / 10, found.runtime / 1000);
    throw std::runtime_error(text);
  }
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorInsufficientDriver) throw std::runtime_error("the NVIDIA driver is too old for this library");
  if (error != cudaSuccess || count == 0) throw std::runtime_error("there is no NVIDIA GPU");
  cudaDeviceProp properties;
  check_cuda(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  if (properties.major < 8)
    throw std::runtime_error(std::string("the GPU is a ") + properties.name + " of compute capability " +
                             std::to_string(properties.major) + "." + std::to_string(properties.minor) +
                             "; needs 8.0 or newer");
  check_cuda(cudaSetDevice(0), "cudaSetDevice");
  std::size_t free = 0, total = 0;
  check_cuda(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  found.name = properties.name;
  found.major = properties.major;
  found.minor = properties.minor;
  found.processors = properties.multiProcessorCount;
  found.memory = static_cast<Index>(total);
  found.free = static_cast<Index>(free);
  return found;
}

template <class T>
std::unique_ptr<DeviceProgram<T>> make_program(const NetworkPlan& plan) {
  return std::make_unique<CudaProgram<T>>(plan);
}

const DeviceLibrary library = {device_interface,     device_layout,      facts,
                               fill_table<float>,    fill_table<double>, make_program<float>,
                               make_program<double>, set_precision,      time_kernel};

}  // namespace
}  // namespace cuda
}  // namespace gradwell

extern "C" __attribute__((visibility("default"))) const gradwell::DeviceLibrary* gradwell_device_library() {
  return &gradwell::cuda::library;
}
