"""Count the instructions of a training step of three small nets, and hold them against those written down.

`python bench/instructions.py` runs each net under `valgrind --tool=callgrind`, which counts the same at any time on any
machine of the same CPU level, and fails where a count rose by more than 3 %. `--write` writes the new counts down.
Counts belong to a compiler: with another one nothing is compared.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

KEPT = Path(__file__).with_name("instructions.json")
ALLOWED = 1.03
STEPS = (20, 120)  # a step is what the longer run has more, so what surrounds the steps does not count
NETS = {
    "[784,30,10], batch 10": ((784, 30, 10), "sigmoid", 10),
    "[784,30,30,30,30,10], batch 10": ((784, 30, 30, 30, 30, 10), "sigmoid", 10),
    "20 x 30, batch 32": ((30,) * 21 + (10,), "tanh", 32),
}
CHILD = """
import sys
import numpy as np
import gradwell as gw
from gradwell import _core
nets, steps, most = eval(sys.argv[1])
for sizes, activation, batch in nets:
    net = gw.mlp(sizes, activation=activation, seed=0)
    rng = np.random.default_rng(0)
    x, y = rng.random((batch * most, sizes[0]), dtype=np.float32), rng.integers(0, 10, batch * most)
    plan = _core.Plan("softmax_cross_entropy", {"name": "sgd"}, [0.01], None, [], 0, batch, 0, 0)
    net.program.train(x, y, None, np.arange(batch * steps), plan, True)
"""
# One thread of each library, or the count would be of how long they wait for one another.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PATH": "/usr/bin:/bin",
}


def count(net, steps):
    """Return the instructions of one run of `steps` steps, the start of Python included."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", sys.executable, "-c", CHILD]
        run = [*command, repr(([NETS[net]], steps, STEPS[1]))]
        done = subprocess.run(run, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        raise RuntimeError(done.stderr)
    return int(found[1])


def main():
    """Count, compare, and say what changed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the counts down")
    arguments = parser.parse_args()
    if not shutil.which("valgrind"):
        print("valgrind is not installed: no instructions are counted")
        return 0
    import gradwell as gw

    compiler = gw.build_info()["compiler"]
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    found, failed = {}, False
    for net in NETS:
        now = found[net] = round((count(net, STEPS[1]) - count(net, STEPS[0])) / (STEPS[1] - STEPS[0]))
        before = kept.get("counts", {}).get(net)
        change = f", {now / before - 1:+.2%} from {before}" if before else ""
        print(f"{net}: {now} instructions a step{change}", flush=True)
        failed = failed or (before is not None and now > ALLOWED * before)
    if arguments.write:
        KEPT.write_text(json.dumps({"compiler": compiler, "counts": found}, indent=1) + "\n")
        return 0
    if kept.get("compiler") != compiler:
        print(f"the counts written down are of {kept.get('compiler')}, this build is of {compiler}: not compared")
        return 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
