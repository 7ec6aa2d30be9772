"""Images read pixel by pixel."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradwell.datasets.arguments import generator

_PIXELS = 784


def pixel_mnist(images: ArrayLike, *, permutation: int | None = None) -> NDArray[np.float32]:
    """Turn images of 28 by 28 pixels into sequences of 784 steps, one pixel a step.

    Parameters
    ----------
    images : array_like, shape (n, 784) or (n, 28, 28)
        Floating point in [0, 1], or uint8, which is divided by 255.
    permutation : int, optional
        The seed of a fixed random order of the pixels, the same for all images; without it they come row by
        row from the top left.

    Returns
    -------
    ndarray of float32, shape (n, 784, 1)
        The sequences, in memory of their own.

    Raises
    ------
    TypeError
        If the images are neither uint8 nor floating point.
    ValueError
        If their shape or their range is not as above.

    References
    ----------
    Q. V. Le, N. Jaitly, G. E. Hinton (2015), A simple way to initialize recurrent networks of rectified
    linear units, arXiv:1504.00941.

    Examples
    --------
    >>> image = np.arange(784) / 784
    >>> pixel_mnist(image[None]).shape
    (1, 784, 1)
    >>> permuted = pixel_mnist(image[None], permutation=1)
    >>> bool(np.array_equal(np.sort(permuted[0, :, 0]), image.astype(np.float32)))
    True
    """
    pixels: NDArray[Any] = np.asarray(images)
    if pixels.dtype != np.uint8 and pixels.dtype.kind != "f":
        raise TypeError(f"[pixel_mnist] images has dtype {pixels.dtype}; needs uint8 or floating point")
    if pixels.ndim not in {2, 3} or pixels.shape[1:] not in {(_PIXELS,), (28, 28)}:
        raise ValueError(f"[pixel_mnist] images has shape {pixels.shape}; needs (n, 784) or (n, 28, 28)")
    if pixels.dtype != np.uint8 and pixels.size:
        lowest, highest = pixels.min(), pixels.max()
        if not (lowest >= 0 and highest <= 1):  # so that a NaN is refused as well
            raise ValueError(f"[pixel_mnist] images range from {lowest:g} to {highest:g}; needs 0 to 1, or uint8")
    rows = pixels.reshape(-1, _PIXELS)
    if permutation is not None:
        rows = rows[:, generator("pixel_mnist", permutation, "permutation").permutation(_PIXELS)]
    scale = np.float32(255 if pixels.dtype == np.uint8 else 1)
    sequences: NDArray[np.float32] = np.divide(rows, scale, dtype=np.float32, casting="same_kind")
    return sequences[:, :, None]
