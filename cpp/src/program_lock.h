// One caller at a time, others wait; denormals as it asked for.
#pragma once

#include "core/denormals.h"
#include "gradwell/program.h"

namespace gradwell {

template <class T>
struct Program<T>::Lock {
  Lock(Program& program, bool flush) : hold(program.in_use_), guard(flush) {}

  std::lock_guard<std::mutex> hold;
  DenormalGuard guard;
};

}  // namespace gradwell
