"""Build for this machine's GPU, test, look for memory errors and races, measure; without a network.

Needs nvcc, a C++ compiler, cmake, and Python with its headers, pybind11, pytest and what pyproject.toml names; cuBLAS
comes from the wheels that PyTorch brings, or from the toolkit. Nothing is installed. A part that fails does not stop
those after it; one for which no time is left is left out, and said to be. Writes results.json and results.md into
build/gpu-check; exits 1 where a part failed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

from gpu_build import ROOT, CannotBuildError, assemble, build_command, configure, missing_modules, toolkits
from gpu_results import judge_bench, judge_plain, judge_pytest, judge_sanitizer, write
from gpu_run import run

KERNELS = ["tests/kernels"]
# What says nothing of the CPU alone: its threads, its bits, layers that no GPU has.
TRAINING = [
    *(f"tests/training/test_{name}.py" for name in ("fit", "gradient_check", "optimizer_steps", "regularization")),
    *(f"tests/training/test_{name}.py" for name in ("step", "record", "nonfinite", "recurrent_training")),
    *(f"tests/layers/test_{name}.py" for name in ("gradients", "residual", "recurrent_gradients", "against_torch")),
]
SANITIZED = [
    *(f"tests/kernels/test_{name}.py" for name in ("activation", "batchnorm", "layernorm", "statistics", "loss")),
    *(f"tests/kernels/test_{name}.py" for name in ("optimizers", "dropout", "clipping", "dense")),
]
PARTS = ("build", "kernels", "cuda", "training", "memcheck", "racecheck", "initcheck", "bench")
BENCH_SHARE = 0.4  # of the time, kept for the measurements
# Seconds.
LONGEST = {
    **{"build": 240.0, "kernels": 240.0, "cuda": 180.0, "training": 180.0},
    **{"memcheck": 120.0, "racecheck": 120.0, "initcheck": 120.0},
}
LEAST = 5.0  # below it a part is not begun


class Check:
    """One run: its time, its folder, and what its parts have said so far."""

    def __init__(self, folder: Path, given: argparse.Namespace):
        self.folder, self.given = folder, given
        self.begun = time.monotonic()
        self.results: list[dict[str, Any]] = []
        self.lock = Lock()
        self.environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.facts: dict[str, Any] = {}
        (folder / "logs").mkdir(parents=True, exist_ok=True)

    def left(self) -> float:
        """Return the seconds that are left."""
        return 60 * float(self.given.minutes) - (time.monotonic() - self.begun)

    def wants(self, name: str) -> bool:
        """Whether a part was asked for."""
        return name in self.given.parts

    def note(self, result: dict[str, Any]) -> dict[str, Any]:
        """Keep what a part has said, and write it down."""
        counts = ", ".join(f"{count} {word}" for word, count in result.get("counts", {}).items() if count)
        said = "; ".join(text for text in (counts, result["note"]) if text)
        with self.lock:
            self.results.append(result)
            print(f"{result['name']:10} {result['outcome']:8} {result['seconds']:6.1f} s  {said}", flush=True)
            write(self.folder, self.facts, self.results)
        return result

    def leave_out(self, name: str, why: str) -> None:
        """Say that a part did not run."""
        self.note({"name": name, "outcome": "left out", "seconds": 0.0, "note": why})

    def part(
        self, name: str, command: Sequence[str], judge: Callable[..., Any], *, spare: float = 0.0, **more: str
    ) -> bool:
        """Run a command until its limit, or until `spare` seconds are left for others; `judge` reads its log.

        Return whether it passed.
        """
        limit = min(LONGEST.get(name, self.left()), self.left() - spare)
        if limit < LEAST:
            self.leave_out(name, "no time was left")
            return False
        log = self.folder / "logs" / f"{name}.txt"
        ended = run(command, ROOT, {**self.environment, **more}, log, limit)
        result = {"name": name, "command": list(command), "seconds": ended.seconds, "log": f"logs/{log.name}"}
        return bool(self.note({**result, **judge(log, ended)})["outcome"] == "passed")


def build(check: Check) -> bool:
    """Build, make the package importable, and see that it finds the GPU."""
    emulated = check.given.emulated
    folder = ROOT / "build" / "emulated" if emulated else check.folder / "build"
    try:
        if missing := missing_modules(emulated):
            raise CannotBuildError(f"Python has no {', '.join(missing)}")
        if not (folder / "CMakeCache.txt").is_file() or not emulated:
            command = configure(folder, emulated, check.given.architectures)
            if not check.part("configure", command, judge_plain):
                return False
        if not check.part("build", build_command(folder), judge_plain):
            return False
        if not emulated:
            check.environment["PYTHONPATH"] = str(assemble(folder))
    except CannotBuildError as error:
        check.note({"name": "build", "outcome": "failed", "seconds": 0.0, "note": str(error)})
        return False
    check.environment["GRADWELL_CUDA_LIBRARY"] = str(folder / "libgradwell_cuda.so")
    return look(check)


def look(check: Check) -> bool:
    """Ask the package where it lies and what GPU it sees."""
    code = "import gradwell as gw, json; print(json.dumps({'package': gw.__file__, **gw.cuda_info()}))"
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, env=check.environment, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = told.stdout.strip().splitlines() or ['{"reason": ""}']
    check.facts = json.loads(lines[-1]) if told.returncode == 0 else {"reason": told.stderr.strip()[-500:]}
    ours = check.environment.get("PYTHONPATH", "")
    elsewhere = check.facts.get("package", "")
    if not check.facts.get("available"):
        why = check.facts.get("reason", "")
    elif not check.given.emulated and not elsewhere.startswith(ours):
        why = f"another gradwell is in the way: {elsewhere}"
    else:
        check.note({"name": "gpu", "outcome": "passed", "seconds": 0.0, "note": check.facts["name"]})
        return True
    check.note({"name": "gpu", "outcome": "failed", "seconds": 0.0, "note": why})
    return False


def tests(check: Check) -> None:
    """Run the tests and the sanitizers side by side, so that all are done before anything is timed."""
    pytest = [sys.executable, "-m", "pytest", "-v", "-rfE", "--tb=short", "-p", "no:cacheprovider"]
    pytest += ["-o", "addopts=", "-m", "not slow and not cpu_only", "-W", "default::DeprecationWarning"]
    wanted = f" and ({check.given.select})" if check.given.select else ""
    on_cuda = ["-k", f"cuda{wanted}"]
    programs = ["tests/cuda"] if (ROOT / "tests/cuda").is_dir() else []
    only = ["-k", check.given.select] if check.given.select else []
    spare = 60 * check.given.minutes * BENCH_SHARE if check.wants("bench") else 0.0
    waiting: list[tuple[Any, ...]] = [
        ("kernels", [*pytest, *KERNELS, *on_cuda], judge_pytest, {}),
        ("cuda", [*pytest, *programs, *only], judge_pytest, {}),
        ("training", [*pytest, *TRAINING, *only], judge_pytest, {"GRADWELL_DEVICE": "cuda"}),
    ]
    sanitizer = shutil.which("compute-sanitizer") or next(
        (str(p / "bin/compute-sanitizer") for p in toolkits() if (p / "bin/compute-sanitizer").is_file()), None
    )
    for tool in ("memcheck", "racecheck", "initcheck"):
        if not check.wants(tool):
            continue
        if not sanitizer or check.given.emulated:
            check.leave_out(tool, "there is no GPU" if check.given.emulated else "compute-sanitizer is not installed")
            continue
        found = check.folder / "logs" / f"{tool}-errors.txt"
        watched = [sanitizer, "--tool", tool, "--error-exitcode", "9", "--log-file", str(found)]
        selected = [*SANITIZED, *(programs if tool == "memcheck" else []), "-k", f"cuda and not float64{wanted}"]
        waiting.append((tool, [*watched, *pytest, *selected], judge_sanitizer, {}))
    begun = []
    with ThreadPoolExecutor(max_workers=max(1, check.given.jobs)) as pool:
        for name, command, judge, more in waiting:
            if not check.wants(name):
                continue
            if name == "cuda" and not programs:
                check.leave_out(name, "there is no folder tests/cuda")
                continue
            begun.append(pool.submit(check.part, name, command, judge, spare=spare, **more))
    for part in begun:
        part.result()  # raises what went wrong here


def measure(check: Check) -> None:
    """Time what is timed, alone on the machine."""
    if not check.wants("bench"):
        return
    out = check.folder / "bench"
    minutes = max(0.0, check.left() - 45) / 60  # a job that has begun goes on to its end
    command = [sys.executable, "bench/gpu.py", "--out", str(out), "--minutes", f"{minutes:.2f}"]
    if check.given.emulated:
        command.append("--smoke")
    else:
        command += ["--longest", "60"]
    check.part("bench", command, judge_bench)


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add, there_are, here = parser.add_argument, ", ".join(PARTS), ROOT / "build" / "gpu-check"
    add("--minutes", type=float, default=9.0, help="time for everything; parts that would begin later are left out")
    add("--parts", default=",".join(PARTS), help=f"which of {there_are}; there is always a build")
    add("--select", default="", help="an expression for pytest's -k: of the tests of every part, only these")
    add("--jobs", type=int, default=max(1, (os.cpu_count() or 2) // 2), help="parts that run side by side")
    add("--out", type=Path, default=here, help="folder for results.json and results.md")
    add("--architectures", default="native", help="what nvcc compiles for, such as 90-real")
    add("--emulated", action="store_true", help="the library built for the CPU and no core: tries the code")
    given = parser.parse_args(arguments)
    given.parts = [name for name in given.parts.split(",") if name]
    unknown = [name for name in given.parts if name not in PARTS]
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; needs some of {there_are}")
    if given.minutes <= 0:
        parser.error(f"--minutes is {given.minutes:g}; needs more than 0")
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all parts and return the exit status."""
    given = options(arguments)
    check = Check(given.out.resolve(), given)
    if build(check):
        tests(check)
        measure(check)
    else:
        for name in given.parts:
            if name != "build":
                check.leave_out(name, "there is no build to run it on")
    write(check.folder, check.facts, check.results)
    failed = [result["name"] for result in check.results if result["outcome"] == "failed"]
    print(f"{check.folder / 'results.md'}; {'failed: ' + ', '.join(failed) if failed else 'nothing failed'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
