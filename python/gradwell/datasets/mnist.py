"""MNIST, read from files the user has or asks to download."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradwell.datasets.idx import load_idx

# Published name of each file, and the MD5 of its .gz.
_FILES = {
    "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
}
_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_COUNTS = {"train": 60_000, "t10k": 10_000}


class Mnist(NamedTuple):
    """The four arrays of MNIST; an image is one row of 28 * 28 pixels, 0 is background, 1 is ink."""

    train_images: NDArray[np.float32]  # (60000, 784) in [0, 1]
    train_labels: NDArray[np.int64]  # (60000,) in 0..9
    test_images: NDArray[np.float32]  # (10000, 784) in [0, 1]
    test_labels: NDArray[np.int64]  # (10000,) in 0..9


def mnist(path: str | os.PathLike[str] | None = None, *, download: bool = False) -> Mnist:
    """Load the MNIST database of handwritten digits.

    The four IDX files, ``train-images-idx3-ubyte`` and so on, may be plain or ``.gz`` and may be spelt
    ``train-images.idx3-ubyte``. They are looked for in the folder itself and in its ``mnist/`` subfolder.

    Parameters
    ----------
    path : str or path-like, optional
        The folder; by default the one the environment variable ``GRADWELL_DATA`` names, else
        ``gradwell`` in the user's cache folder (``XDG_CACHE_HOME``, else ``~/.cache``).
    download : bool
        Fetch files that are missing (11 MB; needs ``pip install "gradwell[data]"``) into `path`, or
        into the ``mnist/`` subfolder of the default folder. Without it nothing touches the network.

    Returns
    -------
    Mnist
        ``train_images`` (60000, 784) and ``test_images`` (10000, 784), float32 in [0, 1];
        ``train_labels`` and ``test_labels``, int64 in 0..9.

    Raises
    ------
    FileNotFoundError
        If files are missing: which, where they were looked for, and how to get them.
    ValueError
        If a file is damaged or holds something else than its name says.
    ImportError
        If `download` needs pooch and it is not installed.
    OSError
        If no mirror delivered the file with its known MD5.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner (1998), Gradient-based learning applied to document
    recognition, Proceedings of the IEEE 86(11).
    """
    root = _root() if path is None else Path(path).expanduser()
    if root.exists() and not root.is_dir():
        raise NotADirectoryError(f"[mnist] path {root} is a file, needed the folder that holds the four files")
    places = (root, root / "mnist")
    # One folder for all four: files of two different sets must not mix.
    folder = next((place for place in places if any(_find(place, name) for name in _FILES)), None)
    target = folder or places[path is None]
    missing = [name for name in _FILES if _find(target, name) is None]
    if missing and not download:
        looked = target if folder else f"{places[0]} and {places[1]}"
        raise FileNotFoundError(
            f"[mnist] looked in {looked}: {', '.join(missing)} (or .gz) missing. Set GRADWELL_DATA to the "
            "folder that holds the files, pass it as path (--data on the command line), or fetch them once: "
            'pip install "gradwell[data]", then gradwell.datasets.mnist(download=True)'
        )
    for name in missing:
        _download(target, name)
    train_images, train_labels = _load_split(target, "train")
    test_images, test_labels = _load_split(target, "t10k")
    return Mnist(train_images, train_labels, test_images, test_labels)


def _root() -> Path:
    if given := os.environ.get("GRADWELL_DATA"):
        return Path(given).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "gradwell"


def _find(folder: Path, name: str) -> Path | None:
    spellings = (name, name.replace("-idx", ".idx"))
    files = (folder / f"{spelling}{suffix}" for spelling in spellings for suffix in ("", ".gz"))
    return next((file for file in files if file.is_file()), None)


def _load_split(folder: Path, split: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    count = _COUNTS[split]
    pixels = _load_checked(folder, f"{split}-images-idx3-ubyte", (count, 28, 28))
    labels = _load_checked(folder, f"{split}-labels-idx1-ubyte", (count,))
    if labels.max() > 9:
        raise ValueError(f"[mnist] {folder}: {split} labels reach {labels.max()}, needed 0 to 9")
    images = np.divide(pixels.reshape(count, 784), np.float32(255), dtype=np.float32)
    return images, labels.astype(np.int64)


def _load_checked(folder: Path, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    file = _find(folder, name)
    if file is None:  # removed since it was looked for
        raise FileNotFoundError(f"[mnist] {folder / name} is missing")
    array = load_idx(file)
    needed = f"needed uint8 {shape}"
    if array.ndim != len(shape):
        holds = "labels" if array.ndim == 1 else "images" if array.ndim == 3 else "something else"
        raise ValueError(f"[mnist] {file}: mislabelled file: got {holds}, {array.dtype} {array.shape}, {needed}")
    if array.shape != shape or array.dtype != np.uint8:
        raise ValueError(f"[mnist] {file}: got {array.dtype} {array.shape}, {needed}")
    return array


def _download(folder: Path, name: str) -> None:
    try:
        import pooch
    except ImportError as error:
        raise ImportError('[mnist] download=True needs pooch: pip install "gradwell[data]"') from error
    failures = []
    for mirror in _MIRRORS:
        try:
            pooch.retrieve(f"{mirror}{name}.gz", f"md5:{_FILES[name]}", fname=f"{name}.gz", path=folder)
            return
        except (OSError, ValueError) as error:  # no connection, or another file than the known one
            failures.append(f"{mirror}: {error}")
    raise OSError(f"[mnist] could not download {name}.gz to {folder}: " + "; ".join(failures))
