// The larger of two magnitudes.
#pragma once

namespace gradwell {

// NaN where either is: what is not a number is above every bound.
inline double larger(double a, double b) {
  if (a != a || b != b) return __builtin_nan("");
  return a < b ? b : a;
}

}  // namespace gradwell
