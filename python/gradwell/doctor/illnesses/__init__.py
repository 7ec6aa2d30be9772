"""The rules: one illness a file. Importing this registers them."""

from gradwell.doctor.illnesses import (
    batch_normalization,
    blind_guess,
    clipping,
    dead_units,
    dynamics,
    exploding,
    initialization,
    inputs,
    nonfinite,
    saturation,
    short_memory,
    stalled_updates,
    underflow,
    vanishing,
    violent_updates,
    weight_growth,
)

__all__ = [
    "batch_normalization",
    "blind_guess",
    "clipping",
    "dead_units",
    "dynamics",
    "exploding",
    "initialization",
    "inputs",
    "nonfinite",
    "saturation",
    "short_memory",
    "stalled_updates",
    "underflow",
    "vanishing",
    "violent_updates",
    "weight_growth",
]
