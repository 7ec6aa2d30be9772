"""Residual blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gradwell.checks import check_number
from gradwell.layers.dense import Dense
from gradwell.layers.layer import Layer

LEARNED = {"rezero": 0.0, "fixup": 1.0}


@dataclass(frozen=True, repr=False, init=False)
class Residual(Layer):
    """y = shortcut(x) + scale F(x), F the layers of the block (He, Zhang, Ren, Sun, 2016).

    The gradient then has a way past F: dy/dx = I + scale dF/dx. Blocks may stand inside blocks; an activation behind
    the block runs fused with the addition.

    Parameters
    ----------
    layers
        The branch F, one layer or more.
    shortcut
        None passes x on as it is; a `Dense` without activation brings it to the branch's width.
    scale
        A fixed number; "rezero", a learned number that starts at 0 (Bachlechner et al., 2021); or "fixup", a learned
        number that starts at 1 over a branch whose last weight starts at 0 and whose others are scaled by
        L^(-1/(2m-2)), for L blocks in the network with m weights each (Zhang, Dauphin, Ma, 2019). A branch that ends in
        a `Dense` then starts as 0.

    Examples
    --------
    >>> import gradwell as gw
    >>> block = gw.Residual(gw.Dense(8), gw.ReLU(), gw.Dense(8), scale="rezero")
    >>> net = gw.Network([gw.Dense(8), block, gw.Dense(2)], input_shape=4, seed=0)
    >>> list(net.parameters)[2:7]
    ['1.0.weight', '1.0.bias', '1.2.weight', '1.2.bias', '1.scale']
    """

    layers: tuple[Layer, ...]
    shortcut: Dense | None
    scale: float | str

    def __init__(
        self,
        *layers: Layer,
        shortcut: Dense | None = None,
        scale: float | str = 1.0,
        name: str | None = None,
    ):
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "shortcut", shortcut)
        object.__setattr__(self, "scale", scale)
        super().__post_init__()
        if not layers:
            raise ValueError("[Residual] the block is empty; needs at least one layer")
        for i, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"[Residual] layer {i} is of type {type(layer).__name__}; needs a gradwell layer")
        if shortcut is not None and not isinstance(shortcut, Dense):
            raise TypeError(f"[Residual] shortcut is of type {type(shortcut).__name__}; needs None or a Dense")
        if isinstance(scale, str):
            if scale not in LEARNED:
                raise ValueError(f'[Residual] scale is "{scale}"; needs a number, "rezero" or "fixup"')
        else:
            object.__setattr__(self, "scale", check_number("Residual", "scale", scale))
        names = [part for part, _ in self.parts("")]
        for i, part in enumerate(names):
            if part in names[:i]:
                raise ValueError(f'[Residual] two layers are named "{part[1:]}"; names must differ')

    def parts(self, name: str) -> list[tuple[str, Layer]]:
        """Return the layers of the branch, and the shortcut last."""
        inside: list[tuple[str, Layer]] = [(f"{name}.{layer.name or i}", layer) for i, layer in enumerate(self.layers)]
        return inside if self.shortcut is None else [*inside, (f"{name}.shortcut", self.shortcut)]

    def describe(self) -> dict[str, Any]:
        """Return the class name and settings."""
        return {
            **super().describe(),
            "layers": [layer.describe() for layer in self.layers],
            "shortcut": self.shortcut.describe() if self.shortcut else None,
            "scale": self.scale,
        }

    def compile(self, name: str) -> list[dict[str, Any]]:
        """Return what the compiled program is told of the block."""
        learned = isinstance(self.scale, str)
        joint = {"kind": "residual", "name": name, "scale": 1.0 if learned else self.scale, "learned": learned}
        entries = [joint]
        for i, (part, layer) in enumerate(self.parts(name)):
            if i == len(self.layers):
                entries.append({"kind": "shortcut", "name": part})
            entries += layer.compile(part)
        return [*entries, {"kind": "end", "name": name}]

    def __repr__(self) -> str:
        inside = ", ".join(repr(layer) for layer in self.layers)
        shortcut = f", shortcut={self.shortcut!r}" if self.shortcut else ""
        return f"Residual({inside}{shortcut}, scale={self.scale!r})"
