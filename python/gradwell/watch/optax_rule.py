"""Watching an Optax rule: gradients and updates pass through it unchanged, and are measured."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradwell import _core
from gradwell.checks import check_count
from gradwell.watch.arrays import real_array
from gradwell.watch.measurements import Step
from gradwell.watch.watching import Watch

if TYPE_CHECKING:
    import optax as _optax

WORDS = {"kernel": "weight", "w": "weight", "embedding": "weight", "b": "bias", "scale": "gamma"}  # of Flax and Haiku


def optax(rule: _optax.GradientTransformation, *, every: int = 1, order: Sequence[str] | None = None) -> OptaxWatch:
    """Watch an Optax rule: the gradients that go in, the updates that come out, under `jax.jit` too.

    ``watch.transformation`` takes the rule's place. It returns the same updates to the last bit, and hands gradients,
    updates and parameters of every measured step to the watch by a callback. Layers are the leaves' paths without their
    last part, so that ``params["Dense_0"]["kernel"]`` is the weight of layer "Dense_0".

    Parameters
    ----------
    rule
        Any gradient transformation, such as ``optax.adam(1e-3)`` or a chain.
    every
        Measure one step in so many.
    order
        Names of the layers from the first to the last. By default as their names sort, numbers by their value: JAX
        keeps no other order of a dictionary.

    Raises
    ------
    TypeError, ValueError
        No rule, or a pace that is none.
    ImportError
        JAX or Optax is not installed.

    Examples
    --------
    >>> import optax  # doctest: +SKIP
    >>> watch = gw.watch.optax(optax.adam(1e-3))  # doctest: +SKIP
    >>> optimizer = watch.transformation  # doctest: +SKIP
    >>> state = optimizer.init(params)  # doctest: +SKIP
    >>> updates, state = optimizer.update(grads, state, params)  # doctest: +SKIP
    >>> print(watch.diagnose())  # doctest: +SKIP
    """
    return OptaxWatch(rule, every, order)


class OptaxWatch(Watch):
    """A watch on an Optax rule: see `optax`.

    Attributes
    ----------
    transformation
        What takes the rule's place.
    """

    def __init__(self, rule: Any, every: int, order: Sequence[str] | None):
        check_count("watch", "every", every)
        super().__init__(every)
        try:
            import jax
            import optax as library
        except ImportError:
            raise ImportError('watching Optax needs it: pip install "gradwell[jax]"') from None
        if not (callable(getattr(rule, "init", None)) and callable(getattr(rule, "update", None))):
            raise TypeError(f"[watch] rule is of type {type(rule).__name__}; needs an Optax gradient transformation")
        self._jax = jax
        self._order = None if order is None else list(order)
        inner = library.with_extra_args_support(rule)

        def init(params: Any) -> Any:
            if not self._stages:
                self._learn_layers([_path(path) for path, _ in self._leaves(params)])
            return jax.numpy.zeros([], jax.numpy.int32), inner.init(params)

        def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
            count, kept = state
            moved, kept = inner.update(updates, kept, params, **extra)
            arguments = (count, updates, moved, params)
            jax.lax.cond(count % every == 0, self._hand_over, lambda *_: None, *arguments)
            return moved, (count + 1, kept)

        self.transformation = library.GradientTransformationExtraArgs(init, update)

    def _hand_over(self, *arguments: Any) -> None:
        from jax.experimental import io_callback

        io_callback(self._observe, None, *arguments, ordered=True)

    def _observe(self, count: Any, gradients: Any, updates: Any, params: Any) -> None:
        try:
            if not self._closed:
                self.step = int(count)
                self._end_step(self._measured(gradients, updates, params))
        except Exception as error:
            self._failed(error)

    def _measured(self, gradients: Any, updates: Any, params: Any) -> Step:
        leaves = {_path(path): real_array("a gradient", leaf) for path, leaf in self._leaves(gradients)}
        names = [name for name, _ in self._parameters]
        by_name = {_parameter(path): leaf for path, leaf in leaves.items()}
        step = Step()
        spoilt, _ = step.settle([("parameter", name) for name in names], [by_name[name] for name in names])
        if params is not None:
            pairs = [
                {_parameter(_path(path)): real_array("an update", leaf) for path, leaf in self._leaves(tree)}
                for tree in (updates, params)
            ]
            arrays = [tree[name] for tree in pairs for name in names]
            *_, norms, _ = _core.survey([], arrays, [], True)
            step.moved = (names, norms.reshape(2, -1).T)
        for _, name in spoilt[:1]:
            self._blame("backward", name.rsplit(".", 1)[0], "gradient")
        return step

    def _leaves(self, tree: Any) -> list[tuple[Any, Any]]:
        found: list[tuple[Any, Any]] = self._jax.tree_util.tree_flatten_with_path(tree)[0]
        return found

    def _learn_layers(self, paths: list[tuple[str, ...]]) -> None:
        layers = sorted({_layer(path) for path in paths}, key=_natural)
        if self._order is not None:
            if sorted(self._order) != sorted(layers):
                raise ValueError(f"[watch] order is {self._order}; needs the layers {layers}")
            layers = self._order
        self._stages = [(name, "weights") for name in layers]
        self._parameters = [(_parameter(path), _layer(path)) for path in paths]


def _path(keys: Any) -> tuple[str, ...]:
    """Return the parts of a leaf's path: keys of dictionaries, places in lists, names of fields."""
    names = []
    for key in keys:
        part = next((getattr(key, name) for name in ("key", "idx", "name") if hasattr(key, name)), key)
        names.append(str(part))
    return tuple(names)


def _layer(path: tuple[str, ...]) -> str:
    inner = [part for part in path[:-1] if part != "params"]
    return ".".join(inner) or (path[-1] if path else "model")


def _parameter(path: tuple[str, ...]) -> str:
    last = path[-1] if len(path) > 1 else "weight"
    return f"{_layer(path)}.{WORDS.get(last, last)}"


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts numbers by their value.

    Examples
    --------
    >>> sorted(["Dense_10", "Dense_9", "Conv_1"], key=_natural)
    ['Conv_1', 'Dense_9', 'Dense_10']
    """
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]
