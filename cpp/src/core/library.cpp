#include "core/library.h"

#include <dlfcn.h>

#include <stdexcept>

namespace gradwell {

void* find_in_library(const std::string& path, const char* name) {
  void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) throw std::runtime_error("the CUDA library cannot be loaded: " + std::string(dlerror()));
  void* const found = dlsym(handle, name);
  if (!found) throw std::runtime_error("the CUDA library " + path + " has no " + name);
  return found;
}

}  // namespace gradwell
