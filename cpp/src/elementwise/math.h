// exp, log, tanh, sigmoid and their relatives on one vector. Shared by the levels of cpp/src/cpu and by cpp/src/cuda.
//
// Each is argument reduction, a polynomial of coefficients.h, and the way back; none branches, none calls
// libm. NaN goes in and comes out; infinities give the limits.
#pragma once

#include "elementwise/coefficients.h"

namespace gradwell {
namespace GRADWELL_LEVEL {

template <class T>
struct Constants;

template <>
struct Constants<float> {
  static constexpr float round_shift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  static constexpr float log2_e = 1.44269504f;
  static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;  // high part: 10 bits
  static constexpr float exp_lowest = -104.0f, exp_highest = 88.73f, expm1_lowest = -87.0f;
  static constexpr float tanh_is_one = 10.0f;
  static constexpr float smallest_normal = 1.17549435e-38f, infinity = __builtin_inff(), nan = __builtin_nanf("");
  static constexpr std::int32_t sqrt_half_bits = 0x3f3504f3;
};

template <>
struct Constants<double> {
  static constexpr double round_shift = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double log2_e = 1.4426950408889634;
  static constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
  static constexpr double exp_lowest = -746.0, exp_highest = 709.79, expm1_lowest = -708.0;
  static constexpr double tanh_is_one = 20.0;
  static constexpr double smallest_normal = 2.2250738585072014e-308;
  static constexpr double infinity = __builtin_inf(), nan = __builtin_nan("");
  static constexpr std::int64_t sqrt_half_bits = 0x3fe6a09e667f3bcd;
};

template <class T, int N>
GRADWELL_INLINE Pack<T> polynomial(Pack<T> x, const T (&c)[N]) {
  Pack<T> sum = broadcast(c[N - 1]);
  GRADWELL_UNROLL
  for (int i = N - 2; i >= 0; --i) sum = fma(sum, x, broadcast(c[i]));
  return sum;
}
#define GRADWELL_POLYNOMIAL(name)                     \
  GRADWELL_INLINE Pack<float> name(Pack<float> x) {   \
    return polynomial<float>(x, name##_float);        \
  }                                                   \
  GRADWELL_INLINE Pack<double> name(Pack<double> x) { \
    return polynomial<double>(x, name##_double);      \
  }
GRADWELL_POLYNOMIAL(exp_rest)
GRADWELL_POLYNOMIAL(expm1_rest)
GRADWELL_POLYNOMIAL(log_rest)
GRADWELL_POLYNOMIAL(normal_tail_rest)
#undef GRADWELL_POLYNOMIAL

// x = n ln 2 + r with |r| <= ln 2 / 2; gives n and e^r - 1.
template <class T>
struct ReducedExponential {
  Bits<T> n;
  Pack<T> minus_one;
};

template <class T>
GRADWELL_INLINE ReducedExponential<T> reduce_exponential(Pack<T> x) {
  using C = Constants<T>;
  const Pack<T> shift = broadcast(C::round_shift);
  const Pack<T> shifted = fma(x, broadcast(C::log2_e), shift);
  const Pack<T> n = shifted - shift;
  Pack<T> r = fma(n, broadcast(-C::ln2_high), x);
  r = fma(n, broadcast(-C::ln2_low), r);
  return {bits_of(shifted) - bits_of(shift), fma(r * r, exp_rest(r), r)};
}

template <class T>
GRADWELL_INLINE Pack<T> power_of_two(Bits<T> n) {
  return from_bits((n + Simd<T>::bias) << Simd<T>::mantissa_bits);
}

// x 2^n, rounded once, also where the result is denormal.
#if defined(__AVX512F__) && !defined(GRADWELL_ONE_LANE)
GRADWELL_INLINE Pack<float> scaled(Pack<float> x, Bits<float> n) {
  return _mm512_maskz_scalef_ps(0xffff, x, __builtin_convertvector(n, Pack<float>));
}
GRADWELL_INLINE Pack<double> scaled(Pack<double> x, Bits<double> n) {
  return _mm512_maskz_scalef_pd(0xff, x, __builtin_convertvector(n, Pack<double>));
}
template <class T>
GRADWELL_INLINE Pack<T> times_power_of_two(Pack<T> x, Bits<T> n) {
  return scaled(x, n);
}
#else
template <class T>
GRADWELL_INLINE Pack<T> times_power_of_two(Pack<T> x, Bits<T> n) {
  const Bits<T> half = n >> 1;  // two factors, so that neither overflows where the product does not
  return x * power_of_two<T>(half) * power_of_two<T>(n - half);
}
#endif

template <class T>
GRADWELL_INLINE Pack<T> exp(Pack<T> x) {
  using C = Constants<T>;
  const auto reduced = reduce_exponential<T>(at_most<T>(at_least<T>(x, C::exp_lowest), C::exp_highest));
  return times_power_of_two<T>(reduced.minus_one + T(1), reduced.n);
}

// e^x - 1 for x <= 0, without cancellation near 0.
template <class T>
GRADWELL_INLINE Pack<T> expm1_negative(Pack<T> x) {
  const auto reduced = reduce_exponential<T>(at_least<T>(x, Constants<T>::expm1_lowest));
  const Pack<T> scale = power_of_two<T>(reduced.n);
  return fma(scale, reduced.minus_one, scale - T(1));
}

// log x = k ln 2 + log(1 + f), sqrt(1/2) <= 1 + f < sqrt 2, with s = f / (2 + f):
// log(1 + f) = f - (f^2/2 - s (f^2/2 + s^2 P(s^2)))   (the reduction of Sun's fdlibm, 1993).
template <class T>
GRADWELL_INLINE Pack<T> log(Pack<T> x) {
  using C = Constants<T>;
  const auto denormal = x < C::smallest_normal;
  const Pack<T> scaled = denormal ? x * static_cast<T>(1ll << 24) : x;
  const Bits<T> bits = bits_of(magnitude<T>(scaled));  // without the sign, so that nothing below overflows
  const Bits<T> exponent = (bits - C::sqrt_half_bits) >> Simd<T>::mantissa_bits;
  const Pack<T> f = from_bits(bits - (exponent << Simd<T>::mantissa_bits)) - T(1);
  const Pack<T> k = numbers_of<T>(exponent) - (denormal ? broadcast(T(24)) : Pack<T>{});
  const Pack<T> s = f / (f + T(2));
  const Pack<T> z = s * s;
  const Pack<T> half_square = f * f * T(0.5);
  const Pack<T> tail = fma(s, fma(z, log_rest(z), half_square), k * C::ln2_low);
  const Pack<T> result = k * C::ln2_high - ((half_square - tail) - f);
  const Pack<T> edge = x == T(0) ? broadcast(-C::infinity) : (x < T(0) ? broadcast(C::nan) : x);
  return ((x > T(0)) & (x < C::infinity)) ? result : edge;
}

// log(1 + e) for 0 <= e <= 1: log of the rounded sum, and what the rounding lost.
template <class T>
GRADWELL_INLINE Pack<T> log1p_unit(Pack<T> e) {
  const Pack<T> sum = e + T(1);
  return log<T>(sum) + (e - (sum - T(1))) / sum;
}

// tanh |x| = t / (t + 2) with t = e^(2|x|) - 1. Here 2|x| = n ln 2 + r with 0 <= r <= ln 2, so that both terms of
// t = 2^n (e^r - 1) + (2^n - 1) are positive and nothing cancels.
template <class T>
GRADWELL_INLINE Pack<T> tanh(Pack<T> x) {
  using C = Constants<T>;
  const Pack<T> size = at_most<T>(magnitude<T>(x), C::tanh_is_one);
  const Pack<T> twice = size + size, shift = broadcast(C::round_shift);
  const Pack<T> shifted = fma(twice, broadcast(C::log2_e), broadcast(T(-0.5))) + shift;
  const Pack<T> n = shifted - shift;
  Pack<T> r = fma(n, broadcast(-C::ln2_high), twice);
  r = fma(n, broadcast(-C::ln2_low), r);
  const Pack<T> scale = power_of_two<T>(bits_of(shifted) - bits_of(shift));
  const Pack<T> t = fma(scale, fma(r * r, expm1_rest(r), r), scale - T(1));
  // What the sum lost in rounding is given back where it matters: 1 / (t + 2) = (1 - tanh) / 2.
  const Pack<T> sum = t + T(2), share = t / sum;
  const Pack<T> lost = t < T(4) ? t - (sum - T(2)) : Pack<T>{};
  return with_sign<T>(fma(share * lost, fma(share, broadcast(T(0.5)), broadcast(T(-0.5))), share), x);
}

template <class T>
GRADWELL_INLINE Pack<T> sigmoid(Pack<T> x) {
  const Pack<T> e = exp<T>(-magnitude<T>(x));
  const Pack<T> sum = e + T(1);
  const Pack<T> lost = e - (sum - T(1));
  const Pack<T> share = (x < T(0) ? e : broadcast(T(1))) / sum;
  const Pack<T> inverse = x < T(0) ? T(1) - share : share;  // 1 / sum
  return share - share * lost * inverse;                    // takes back what rounding the sum cost
}

// sigmoid'(x) = e / (1 + e)^2 with e = exp(-|x|): accurate in both tails.
template <class T>
GRADWELL_INLINE Pack<T> sigmoid_derivative(Pack<T> x) {
  const Pack<T> e = exp<T>(-magnitude<T>(x));
  return e / ((e + T(1)) * (e + T(1)));
}

template <class T>
GRADWELL_INLINE Pack<T> softplus(Pack<T> x) {
  return (x > T(0) ? x : Pack<T>{}) + log1p_unit<T>(exp<T>(-magnitude<T>(x)));
}

// The tail of the standard normal distribution beyond t = min(|x|, 40), as bell * mills: Phi(-t) = e^(-t^2/2) mills(t).
// Kept apart, so that a product of one of them with something large is not flushed to zero too early.
template <class T>
struct NormalTail {
  Pack<T> t, bell, mills;
};

template <class T>
GRADWELL_INLINE NormalTail<T> normal_tail(Pack<T> x) {
  const T edge = T(40);  // the tail is 0 in float64 before it
  const Pack<T> size = magnitude<T>(x);
  const Pack<T> t = size > edge ? broadcast(edge) : size;
  const Pack<T> square = t * t;
  const Pack<T> lost = fma(t, t, -square);
  const Pack<T> bell = exp<T>(square * T(-0.5)) * (T(1) - lost * T(0.5));
  const Pack<T> shifted = t + T(4);
  return {t, bell, normal_tail_rest((t - T(4)) / shifted) / shifted};
}

}  // namespace GRADWELL_LEVEL
}  // namespace gradwell
