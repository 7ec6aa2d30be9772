#include "cuda/staging.h"

namespace gradwell {
namespace cuda {

std::mutex& Staging::mutex() {
  static std::mutex one;
  return one;
}

// Kept until the process ends: by then the driver may be gone before what would free it.
Queue& Staging::shared_queue() {
  static Queue* const queue = new Queue;
  return *queue;
}

}  // namespace cuda
}  // namespace gradwell
