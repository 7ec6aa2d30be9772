"""What a build on a machine with a GPU needs, found without a network: tools, cuBLAS, modules, and the commands."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("numpy", "rich", "safetensors", "tqdm", "typer", "pytest", "hypothesis")


class CannotBuildError(Exception):
    """Something that a build needs is not there."""


def missing_modules(emulated: bool) -> list[str]:
    """Return what Python lacks to run the package and its tests, and to build where it is not `emulated`."""
    wanted = MODULES if emulated else (*MODULES, "pybind11")
    return [name for name in wanted if find_spec(name) is None]


def nvcc_release(text: str) -> tuple[int, int]:
    """Return the version that ``nvcc --version`` told of.

    Examples
    --------
    >>> nvcc_release("Cuda compilation tools, release 13.0, V13.0.88")
    (13, 0)
    """
    found = re.search(r"release (\d+)\.(\d+)", text)
    if not found:
        raise CannotBuildError("nvcc does not tell its release")
    return int(found[1]), int(found[2])


def toolkits() -> Iterator[Path]:
    """Return folders in which a whole CUDA may lie."""
    nvcc = shutil.which("nvcc")
    named = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH")]
    yield from (Path(name) for name in named if name)
    if nvcc:
        yield Path(nvcc).resolve().parents[1]
    yield Path("/usr/local/cuda")


def wheels() -> Iterator[Path]:
    """Return the folders of NVIDIA's wheels, as PyTorch brings them: cu13, or one a library."""
    spec = find_spec("nvidia")
    for place in (spec.submodule_search_locations if spec else None) or ():
        yield from (Path(place) / "cu13", Path(place) / "cublas")


def find_cublas(major: int, places: Iterator[Path]) -> tuple[Path, Path]:
    """Return the folder of cublasLt.h and the library, of nvcc's major version, from the first place that has both."""
    for place in places:
        includes = (place / "include", place / "targets/x86_64-linux/include")
        libraries = [
            path
            for folder in (place / "lib", place / "lib64", place / "targets/x86_64-linux/lib")
            for path in sorted(folder.glob("libcublasLt.so*"))
            if re.search(rf"\.so\.{major}(\.|$)", path.resolve().name)
        ]
        include = next((folder for folder in includes if (folder / "cublasLt.h").is_file()), None)
        if include and libraries:
            return include, libraries[0]
    raise CannotBuildError(f"cuBLAS {major} was found neither in wheels of NVIDIA's nor in a toolkit")


def tool(name: str) -> str | None:
    """Return where a program is: on the path, or beside this Python."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def build_command(folder: Path) -> list[str]:
    """Return the command that builds what has been prepared in `folder`."""
    return [tool("cmake") or "cmake", "--build", str(folder), "--parallel", str(os.cpu_count() or 1)]


def configure(folder: Path, emulated: bool, architectures: str = "native") -> list[str]:
    """Return the command that prepares a build in `folder`: the core and the library for this machine's GPU."""
    cmake, ninja = tool("cmake"), tool("ninja")
    if not cmake:
        raise CannotBuildError("cmake is not installed")
    command = [cmake, "-S", str(ROOT), "-B", str(folder), "-DCMAKE_BUILD_TYPE=Release"]
    if ninja:
        command += ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
    if emulated:
        return [*command, "-DGRADWELL_CUDA_EMULATED=ON", "-DGRADWELL_CUDA_ONLY=ON"]
    nvcc = shutil.which("nvcc") or next((str(p / "bin/nvcc") for p in toolkits() if (p / "bin/nvcc").is_file()), None)
    if not nvcc:
        raise CannotBuildError("nvcc is not installed")
    told = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    include, library = find_cublas(nvcc_release(told)[0], (place for all_ in (wheels(), toolkits()) for place in all_))
    import pybind11

    return [
        *command,
        f"-DCMAKE_CUDA_COMPILER={nvcc}",
        f"-DPython_EXECUTABLE={sys.executable}",
        f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
        "-DGRADWELL_CUDA=ON",
        f"-DCMAKE_CUDA_ARCHITECTURES={architectures}",
        f"-DCUBLAS_INCLUDE={include}",
        f"-DCUBLASLT_LIBRARY={library}",
    ]


def assemble(folder: Path) -> Path:
    """Put the package together in `folder`/package: its sources, and the core just built. Return that folder."""
    package = folder / "package"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(
        ROOT / "python/gradwell", package / "gradwell", ignore=shutil.ignore_patterns("__pycache__", "*.so")
    )
    cores = sorted(folder.glob("_core*.so"))
    if not cores:
        raise CannotBuildError(f"there is no _core in {folder}")
    shutil.copy(cores[-1], package / "gradwell")
    return package
