// Flush-to-zero for as long as the guard lives, in this thread only. Vanishing gradients are denormal before
// they are zero, and arithmetic on denormals is tens of times slower on many CPUs.
// Everything here is internal to the file that includes it: level files must share no inline function.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace gradwell {
namespace {

#if defined(__x86_64__)
inline unsigned long control_word() {
  return _mm_getcsr();
}
inline void set_control_word(unsigned long word) {
  _mm_setcsr(static_cast<unsigned>(word));
}
constexpr unsigned long flush_bits = 0x8040;  // FTZ and DAZ
#elif defined(__aarch64__)
inline unsigned long control_word() {
  unsigned long word;
  __asm__ volatile("mrs %0, fpcr" : "=r"(word));
  return word;
}
inline void set_control_word(unsigned long word) {
  __asm__ volatile("msr fpcr, %0" : : "r"(word));
}
constexpr unsigned long flush_bits = 1ul << 24;  // FZ
#else
inline unsigned long control_word() {
  return 0;
}
inline void set_control_word(unsigned long) {}
constexpr unsigned long flush_bits = 0;
#endif

struct DenormalGuard {
  unsigned long before;
  explicit DenormalGuard(bool flush) : before(control_word()) {
    const unsigned long wanted = flush ? before | flush_bits : before & ~flush_bits;
    if (wanted != before) set_control_word(wanted);
  }
  ~DenormalGuard() { set_control_word(before); }
  DenormalGuard(const DenormalGuard&) = delete;
  DenormalGuard& operator=(const DenormalGuard&) = delete;
};

}  // namespace
}  // namespace gradwell
