"""Measure exp, log, tanh and sigmoid over float32 bit patterns and write the table of docs/accuracy.md.

`python tools/accuracy.py` takes all 2^32 patterns, which is some ten minutes a CPU level; `--stride 211` takes every
211th. GRADWELL_CPU chooses the level. The figures are printed as one Markdown table row a function.
"""

import argparse

import numpy as np

import gradwell as gw

CHUNK = 2**22


def exact(name, x):
    """Return the function in float64, whose error is some 2^-29 of a float32 unit."""
    if name == "sigmoid":
        tail = np.exp(-np.abs(x))
        return np.where(x < 0, tail, 1.0) / (1.0 + tail)
    return getattr(np, name)(x)


def measure(name, stride):
    """Return the largest error in units in the last place, where it is, and the fraction rounded correctly."""
    worst, where, right, total = 0.0, 0.0, 0, 0
    tiny = np.finfo(np.float32).smallest_normal
    for start in range(0, 2**32, CHUNK * stride):
        patterns = np.arange(start, min(start + CHUNK * stride, 2**32), stride, dtype=np.uint64)
        x = patterns.astype(np.uint32).view(np.float32)
        x = np.where(np.abs(x) < tiny, np.copysign(np.float32(0), x), x)  # denormals count as zero
        with np.errstate(all="ignore"):
            y, wanted = getattr(gw.kernels, name)(x), exact(name, x.astype(np.float64))
            rounded = wanted.astype(np.float32)
            same = (y == rounded) | (np.isnan(y) & np.isnan(rounded))
            flushed = (np.abs(wanted) < tiny) & (np.abs(y) <= tiny)
            error = np.abs(y - wanted) / np.spacing(np.abs(rounded)).astype(np.float64)
        error[same | flushed] = np.where(np.isfinite(error[same | flushed]), np.minimum(error[same | flushed], 0.5), 0)
        i = int(np.argmax(np.nan_to_num(error, nan=np.inf)))
        if not error[i] <= worst:
            worst, where = float(error[i]), float(x[i])
        right += int(np.count_nonzero(same | flushed))
        total += x.size
    return worst, where, right / total


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stride", type=int, default=1)
    stride = parser.parse_args().stride
    level = gw.build_info()["cpu_level"]
    for name in ("exp", "log", "tanh", "sigmoid"):
        worst, where, right = measure(name, stride)
        print(f"| {name} | {level} | {worst:.3f} | {where:.8g} | {100 * right:.2f} % |", flush=True)


if __name__ == "__main__":
    main()
