"""Write coefficients.h: the polynomials of math.h, as Chebyshev interpolants computed in 60 digits.

Run it as `python cpp/src/elementwise/coefficients.py`; it needs mpmath. A Chebyshev interpolant is within a factor
of two of the best polynomial of its degree, and one more degree buys more than that back.
"""

from pathlib import Path

import mpmath as mp

mp.mp.dps = 60


def interpolate(function, low, high, degree):
    """Coefficients, lowest power first, of the interpolant of `function` at the Chebyshev nodes."""
    n = degree + 1
    middle, half = mp.mpf(low + high) / 2, mp.mpf(high - low) / 2
    nodes = [middle + half * mp.cos(mp.pi * (2 * k + 1) / (2 * n)) for k in range(n)]
    matrix = mp.matrix(n, n)
    for i, x in enumerate(nodes):
        for j in range(n):
            matrix[i, j] = x**j
    return list(mp.lu_solve(matrix, mp.matrix([function(x) for x in nodes])))


def exp_rest(r):
    """(e^r - 1 - r) / r^2."""
    return mp.nsum(lambda k: r**k / mp.factorial(k + 2), [0, 60]) if abs(r) < 0.01 else (mp.expm1(r) - r) / r**2


def log_rest(z):
    """(log((1+s)/(1-s)) / s - 2) / s^2 at z = s^2."""
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) / s - 2) / z


TAIL_CENTRE = 4  # of the map u = (t - 4) / (t + 4), which takes [0, 40] into [-1, 0.82]


def normal_tail_rest(u):
    """Phi(-t) e^(t^2/2) (t + 4) for t = 4 (1 + u) / (1 - u)."""
    t = TAIL_CENTRE * (1 + u) / (1 - u)
    return mp.erfc(t / mp.sqrt(2)) / 2 * mp.exp(t * t / 2) * (t + TAIL_CENTRE)


def row(name, coefficients, suffix):
    """One array definition."""
    numbers = ", ".join(mp.nstr(c, 19 if not suffix else 11) + suffix for c in coefficients)
    kind = "float" if suffix else "double"
    return f"GRADWELL_TABLE {kind} {name}_{kind}[] = {{{numbers}}};\n"


POLYNOMIALS = [  # name, function, interval, degree in float, degree in double
    ("exp_rest", exp_rest, (mp.mpf("-0.34658"), mp.mpf("0.34658")), 4, 10),
    ("expm1_rest", exp_rest, (mp.mpf("-1e-6"), mp.mpf("0.69315")), 5, 11),
    ("log_rest", log_rest, (mp.mpf("1e-30"), mp.mpf("0.02944")), 3, 8),
    ("normal_tail_rest", normal_tail_rest, (mp.mpf(-1), mp.mpf("0.8182")), 11, 27),
]


def main():
    """Write the header beside this file."""
    lines = ["// Made by coefficients.py, lowest power first; do not edit.\n", "#pragma once\n\n"]
    lines.append('#include "elementwise/lanes.h"\n\n')
    lines.append("namespace gradwell {\nnamespace GRADWELL_LEVEL {\n\n")
    for name, function, (low, high), degree_float, degree_double in POLYNOMIALS:
        lines.append(row(name, interpolate(function, low, high, degree_float), "f"))
        lines.append(row(name, interpolate(function, low, high, degree_double), ""))
    lines.append("\n}  // namespace GRADWELL_LEVEL\n}  // namespace gradwell\n")
    Path(__file__).with_name("coefficients.h").write_text("".join(lines))


if __name__ == "__main__":
    main()
