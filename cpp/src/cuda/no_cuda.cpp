// Stands in where there is no CUDA: every system but Linux.
#include <stdexcept>

#include "core/library.h"

namespace gradwell {

void* find_in_library(const std::string&, const char*) {
  throw std::runtime_error("CUDA needs Linux");
}

}  // namespace gradwell
