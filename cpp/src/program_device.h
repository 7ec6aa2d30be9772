// Calls that are done on the device where the program is there.
#pragma once

#include <type_traits>

#include "program_lock.h"

namespace gradwell {

// body(device), with the device's blocks as new as the host's; `changes`: it may leave them newer.
template <class T>
template <class Body>
auto Program<T>::on_device(bool changes, Body&& body) {
  if (host_newer_) {
    fetch();
    device_->put(host_blocks());
  }
  host_newer_ = lent_ > 0;
  device_newer_ = device_newer_ || changes;
  const auto agree = [&] {
    if (lent_ > 0) fetch();
  };
  if constexpr (std::is_void_v<decltype(body(*device_))>) {
    body(*device_);
    agree();
  } else {
    auto result = body(*device_);
    agree();
    return result;
  }
}

}  // namespace gradwell
