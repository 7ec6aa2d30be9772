// The library for another device: found where the caller says, loaded once, kept until the process ends.
#include "gradwell/device.h"

#include <atomic>
#include <mutex>
#include <stdexcept>

#include "core/library.h"

namespace gradwell {
namespace {

std::mutex opening;
std::atomic<const DeviceLibrary*> library{nullptr};
std::atomic<bool> on_device{false};

template <class T>
Kernels<T>& device_table() {
  static Kernels<T> table;
  return table;
}

}  // namespace

const DeviceLibrary& open_device_library(const std::string& path) {
  const std::lock_guard<std::mutex> hold(opening);
  if (const DeviceLibrary* const known = library) return *known;
  const auto entry = reinterpret_cast<DeviceEntry>(find_in_library(path, device_entry));
  const DeviceLibrary* const found = entry();
  if (found->interface != device_interface || found->layout != device_layout)
    throw std::runtime_error("the CUDA library " + path + " is of another version of gradwell (interface " +
                             std::to_string(found->interface) + "; this one needs " + std::to_string(device_interface) +
                             ")");
  found->facts();  // throws where no device can be used
  found->fill_float(device_table<float>());
  found->fill_double(device_table<double>());
  library = found;
  return *found;
}

const DeviceLibrary* device_library() {
  return library;
}

void place_kernels(bool device) {
  if (device && !device_library()) throw std::runtime_error("no CUDA library has been opened");
  on_device = device;
}
bool kernels_on_device() {
  return on_device;
}

template <class T>
const Kernels<T>& placed_kernels() {
  return on_device ? device_table<T>() : kernels<T>();
}
template const Kernels<float>& placed_kernels();
template const Kernels<double>& placed_kernels();

}  // namespace gradwell
