"""The built-in data: 1,797 small handwritten digits."""

from importlib import resources

import numpy as np
from numpy.typing import NDArray


def digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Load the 1,797 optical digits of 8 by 8 pixels that come with the package.

    A pixel counts the ink in a 4 by 4 block of the scanned bitmap, 0 to 16; here it is divided by 16. The
    images are the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, 1998, UCI
    Machine Learning Repository, doi:10.24432/C50P49, CC BY 4.0), in the order of scikit-learn's
    ``load_digits``. See DIGITS_LICENSE.md beside this file.

    Returns
    -------
    x : ndarray of float32, shape (1797, 64)
        Images in [0, 1], row by row.
    y : ndarray of int64, shape (1797,)
        Which digit, 0 to 9.

    References
    ----------
    E. Alpaydin, C. Kaynak (1998), Cascading classifiers, Kybernetika 34(4), 369-374.

    Examples
    --------
    >>> x, y = digits()
    >>> x.shape, y[:5].tolist()
    ((1797, 64), [0, 1, 2, 3, 4])
    """
    with (
        resources.files("gradwell.datasets").joinpath("digits.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        x = arrays["images"].astype(np.float32) / np.float32(16)
        y = arrays["labels"].astype(np.int64)
    return x, y
