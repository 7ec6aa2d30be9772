// One caller at a time, with denormals as it asked for.
#pragma once

#include "core/denormals.h"
#include "gradwell/check.h"
#include "gradwell/program.h"

namespace gradwell {

template <class T>
struct Program<T>::Lock {
  Lock(Program& owner, const char* operation, bool flush) : program(owner), guard(flush) {
    check(!program.busy_.exchange(true), operation, "this network is being used by another thread");
  }
  ~Lock() { program.busy_ = false; }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  Program& program;
  DenormalGuard guard;
};

}  // namespace gradwell
