// How long kernels take on the device by themselves: between two events, with nothing copied from or to the host.
// Private to cpp/src/cuda.
#pragma once

#include <string>

#include "gradwell/device.h"

namespace gradwell {
namespace cuda {

// The contract of DeviceLibrary::time_kernel.
KernelTiming time_kernel(const std::string& name, Index bytes, int repeats);

}  // namespace cuda
}  // namespace gradwell
