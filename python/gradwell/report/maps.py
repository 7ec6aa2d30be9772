"""What the page and the figures show of a record as heat maps: norms, gains, histograms, gradients by time step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwell.report.cells import MISSING, gain_limit, opaque
from gradwell.report.condensing import anywhere, bounds_of, sums
from gradwell.report.heat import Bar, Picture, picture, shade_css, step_ticks
from gradwell.report.pixels import data_uri, png
from gradwell.report.scales import LEVELS, SEQUENTIAL, Tick, linear_ticks, placed, power, shades
from gradwell.statistics import GradientRecord
from gradwell.time_record import TimeRecord

Array = NDArray[Any]

PARTS: Final = {
    "total": "Gain of each layer",
    "weight": "Its weight part",
    "derivative": "Its derivative part",
    "norm": "Its normalisation part",
    "skip": "What skip connections hand back",
    "branch": "What branches hand back",
}
WORDS: Final = {
    "error": "error signal ‖∂C/∂z‖",
    "weight": "weight gradient ‖∂C/∂W‖",
    "bias": "bias gradient ‖∂C/∂b‖",
    "activation": "output ‖y‖",
}
HISTOGRAM_COLUMNS: Final = 160
HISTOGRAM_ROWS: Final = 96
_EMPTY = LEVELS + 1


class Shown(NamedTuple):
    """Magnitudes (records, layers), and where they were NaN or infinite; an exact 0 is 0, not measured NaN."""

    values: Array
    broken: Array


def shown_kind(record: GradientRecord) -> str | None:
    """Return the kind whose norms are shown: errors, or gradients of parameters where no errors were measured."""
    for kind in ("error", *(k for k in record.kinds if k not in ("error", "activation"))):
        if len(record) and np.isfinite(record.norm(kind)).any():
            return kind
    return None


def norms(record: GradientRecord, kind: str) -> Shown:
    """Return the norms of a kind."""
    return Shown(record.norm(kind), _not_finite(record, kind))


def gains(record: GradientRecord, *parts: str) -> dict[str, Shown]:
    """Return parts of the gain, by name; 0 where the error that a part stands over is exactly 0."""
    above = np.array(record.above) >= 0
    still, fault = record.norm("error") == 0, _not_finite(record, "error")
    found = {}
    for part in parts:
        values = record.gain(part)
        if part in ("total", "derivative"):
            values[np.isnan(values) & still & above] = 0.0
        found[part] = Shown(values, fault & ~np.isnan(values))
    return found


def gains_measured(record: GradientRecord) -> dict[str, Shown]:
    """Return the gain and those parts of it that were measured anywhere, by name."""
    found = gains(record, *(part for part in PARTS if _may_have(record, part)))
    return {part: shown for part, shown in found.items() if np.isfinite(shown.values).any()}


def norm_map(record: GradientRecord, kind: str) -> Picture:
    """Return the heat map layer by step of the norm of a kind."""
    what = WORDS.get(kind, f"gradient of {kind}")
    found = norms(record, kind)
    title = f"Norm of the {what}"
    return picture(title, found.values, record.steps, record.layers, what=what, broken=found.broken)


def gain_maps(record: GradientRecord, found: dict[str, Shown]) -> list[Picture]:
    """Return the heat maps of what `gains_measured` found, on one scale."""
    # Only some layers are followed by a normalisation or close a block: the others have no row there.
    rows = {part: _rows_of(part, shown) for part, shown in found.items()}
    limit = gain_limit([shown.values for shown in found.values()])
    return [
        picture(
            PARTS[part],
            shown.values[:, rows[part]],
            record.steps,
            [record.layers[i] for i in rows[part]],
            what="factor",
            limit=limit,
            broken=shown.broken[:, rows[part]],
            most=600 if part == "total" else 300,
        )
        for part, shown in found.items()
    ]


def histogram_layers(record: GradientRecord) -> list[int]:
    """Return the positions of the first, the middle and the last layer."""
    count = len(record.layers)
    return sorted({0, (count - 1) // 2, count - 1}) if count else []


def histogram_maps(record: GradientRecord) -> Iterator[Picture]:
    """Yield histograms over the steps of the outputs and of a gradient, for the first, middle and last layer."""
    gradients = ("weight", "error", *(kind for kind in record.kinds if kind not in ("weight", "error", "activation")))
    for layer in histogram_layers(record):
        for choice in (("activation",), gradients):
            for kind in choice:
                exponents, counts = record.histogram(kind, layer) if kind in record.kinds else (np.zeros(0), None)
                if exponents.size:
                    yield histogram_map(record, kind, layer, exponents, counts)
                    break


def shares(counts: Array, columns: int = HISTOGRAM_COLUMNS) -> tuple[Array, Array]:
    """Return counts and shares (exponents, columns) of histograms (records, exponents), the largest on top.

    Neighbouring records are added up, and so are neighbouring exponents of very wide histograms. NaN: there is nothing
    but zeros, or it was not measured.
    """
    across, down = bounds_of(len(counts), columns), bounds_of(counts.shape[1], HISTOGRAM_ROWS)
    there = sums(sums(counts, across).T, down)[::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return there, there / there.sum(axis=0)


def histogram_title(record: GradientRecord, kind: str, layer: int) -> str:
    """Return what a histogram shows."""
    named = {"activation": "Outputs", "error": "Error signals"}
    what = named.get(kind, f"{kind.replace('_', ' ').capitalize()} gradients")
    return f"{what} of layer {record.layers[layer]}"


def histogram_map(record: GradientRecord, kind: str, layer: int, exponents: Array, counts: Any) -> Picture:
    """Return the share of a layer's elements in each binary exponent, over the steps."""
    there, share = shares(counts)
    top = float(np.nanmax(share))
    shade = 1 + np.nan_to_num(share / top) * (LEVELS - 2)
    cells = np.where(there > 0, shade.round(), _EMPTY).astype(np.int64)
    counted = np.nan_to_num(record.get(kind, "count")[:, layer]) > 0
    cells[:, ~anywhere(counted[:, None], bounds_of(len(counts), HISTOGRAM_COLUMNS))[:, 0]] = MISSING
    colours = shades(SEQUENTIAL)
    palette = np.concatenate([opaque(colours), np.array([[128, 128, 128, 90], [0, 0, 0, 0]], np.uint8)])
    title = histogram_title(record, kind, layer)
    values = [(float(e), power(int(e), 2)) for e in exponents if e % _every(len(exponents)) == 0]
    marks: tuple[str, ...] = ("empty",) if (cells == MISSING).any() else ()
    return Picture(
        title,
        f"{title}: shares of elements in binary exponents {exponents[0]} to {exponents[-1]}, over the steps.",
        data_uri(png(cells, palette)),
        168,
        tuple(_middles(values, exponents)),
        step_ticks(record.steps),
        "magnitude",
        "step",
        Bar(shade_css(colours), tuple(placed(_percents(top), 0, top)), "share of the elements"),
        marks,
        _zeros(record, kind, layer),
        wide=False,
        hatched=False,
    )


def time_map(time: TimeRecord, quantity: str = "hidden") -> Picture:
    """Return the heat map time step by training step of the gradient of the hidden state."""
    values = time.norm(quantity)
    names = [str(t) for t in range(values.shape[1])]
    end = ", read from its end" if time.backward else ""
    title = f"Layer {time.layer}: gradient of the state at each step of the sequence{end}"
    return picture(title, values, time.steps, names, what=f"‖∂C/∂{quantity[0]}ₜ‖", rows="time step")


def _may_have(record: GradientRecord, part: str) -> bool:
    words = {"norm": "norm", "skip": "residual", "branch": "residual"}
    return any(words.get(part, "") in description for description in record.descriptions)


def _rows_of(part: str, shown: Shown) -> list[int]:
    everywhere = part in ("total", "weight", "derivative")
    return [
        i for i, there in enumerate(np.asarray(np.isfinite(shown.values).any(axis=0)).tolist()) if there or everywhere
    ]


def _not_finite(record: GradientRecord, kind: str) -> Array:
    with np.errstate(invalid="ignore"):
        return np.asarray(record.nans(kind) + record.infs(kind) > 0)


def _every(count: int) -> int:
    return next(step for step in (1, 2, 4, 8, 16, 32, 64, 128, 256) if count / step <= 7)


def _middles(values: list[tuple[float, str]], exponents: Array) -> list[Tick]:
    low, count = float(exponents[0]), len(exponents)
    return [Tick(round(100 - (value - low + 0.5) / count * 100, 2), text) for value, text in values]


def _percents(top: float) -> list[tuple[float, str]]:
    return [(value, f"{value:.0%}" if top > 0.05 else f"{value:.1%}") for value, _ in linear_ticks(0.0, top, 4)]


def _zeros(record: GradientRecord, kind: str, layer: int) -> tuple[str, ...]:
    zeros, count = np.nansum(record.zeros(kind)[:, layer]), np.nansum(record.get(kind, "count")[:, layer])
    return (f"{zeros / count:.1%} of the elements are exactly 0 and not in the picture.",) if zeros else ()
