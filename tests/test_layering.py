"""Nothing imports or includes what lies above it (docs/design.md, Layout)."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
in_the_repository = pytest.mark.skipif(
    not (ROOT / "cpp").is_dir(), reason="needs the source tree; an installed package has none"
)

# From the bottom up. A module imports its own row and those above it in this list, without cycles.
PYTHON_ROWS = (
    {"_core", "checks", "datasets", "devices", "parts", "startup"},
    {"reference", "kernels", "initializers", "regularizers", "layers", "losses", "schedules", "initialization"},
    {"mlp", "network", "network_inputs"},
    {
        *{
            "callbacks",
            "clipping",
            "facts",
            "generation",
            "gradients",
            "history",
            "initializing",
            "interrupts",
            "nonfinite",
            "optimizers",
            "progress",
            "sampling",
        },
        *{"record_parts", "record_rows", "runs", "statistics", "storage", "time_record", "trainer", "training"},
    },
    {"boltzmann", "compression", "pretraining", "theory", "doctor", "search", "watch"},
    {"report", "experiments", "sklearn"},
    {"cli", "cli_choices", "cli_data", "cli_devices", "cli_doctor", "cli_settings", "cli_train"},
    {"__init__", "__main__"},
)
PYTHON_RANK = {module: rank for rank, row in enumerate(PYTHON_ROWS) for module in row}
ALONE = {"_core", "datasets"}  # import nothing of the package but themselves
# Written as a user would: they may `import gradwell`.
FACADE_USERS = {"experiments", "cli", "cli_data", "cli_doctor", "cli_settings", "cli_train", "__main__"}
# Upward inside one function, because a method of the public interface must live below what does its work.
DEFERRED = {("network", "storage")}

HEADER_ROWS = (
    {"types"},
    {"check", "memory", "threads"},
    set(),  # the kernel families: every header not named here
    {"kernels", "record", "clipper", "step_bounds"},
    {"recurrence"},
    {"network", "training"},
    {"device"},
    {"program"},
)
HEADER_RANK = {header: rank for rank, row in enumerate(HEADER_ROWS) for header in row}
KERNEL_FAMILY = 2

# Folder: what its files may include. The longest folder that matches a file counts.
INCLUDES = {
    "cpp/include/gradwell": r"gradwell/.*",
    "cpp/src/core": r"(gradwell|core)/.*",
    "cpp/src/cpu": r"(gradwell|cpu|elementwise)/.*|core/denormals\.h",
    "cpp/src/elementwise": r"(gradwell|elementwise)/.*|(cpu/simd|cuda/lane)\.h",
    "cpp/src/cuda": r"(gradwell|cuda|elementwise)/.*|core/library\.h",
    "cpp/emulator": r"[^/]+\.h",
    "cpp/src/layers": r"(gradwell|layers)/.*|recorder\.h",
    "cpp/src": r"(gradwell|core|layers)/.*|[^/]+\.h",
    "cpp/bindings": r"(gradwell|core)/.*|[^/]+\.h",
}

LONGEST = 400
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc"}
CODE = {".py", ".pyi", ".cpp", ".h", ".cu", ".sh"}


def python_imports(path):
    """(module of gradwell, whether only inside a function) for each import; the package itself is __init__."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    inside = {id(node) for f in ast.walk(tree) if isinstance(f, functions) for node in ast.walk(f)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; write the full name"
            names = [node.module]
            if node.module == "gradwell":
                names = [f"gradwell.{alias.name}" if alias.name in PYTHON_RANK else "gradwell" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "gradwell":
                yield rest.partition(".")[0] or "__init__", id(node) in inside


def python_faults(root):
    package = root / "python" / "gradwell"
    graph, faults = {}, []
    for path in sorted(package.rglob("*.py")):
        module = path.relative_to(package).with_suffix("").parts[0]
        where = path.relative_to(root).as_posix()
        if module not in PYTHON_RANK:
            faults.append(f"{where}: give {module} a row in {Path(__file__).name}")
            continue
        for target, deferred in python_imports(path):
            if target == module or (deferred and (module, target) in DEFERRED):
                continue
            if target not in PYTHON_RANK:
                faults.append(f"{where} imports {target}, which has no row")
            elif target == "__init__" and module in FACADE_USERS:
                continue
            elif module in ALONE or PYTHON_RANK[target] > PYTHON_RANK[module]:
                faults.append(f"{where} imports {target}, which lies above it")
            else:
                graph.setdefault(module, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        faults.append("import cycle: " + " <- ".join(error.args[1]))
    return faults


def header_rank(name):
    return HEADER_RANK.get(Path(name).stem, KERNEL_FAMILY)


def include_faults(root):
    faults = []
    for path in sorted((root / "cpp").rglob("*")):
        if path.suffix not in {".h", ".cpp", ".cu"}:
            continue
        where = path.relative_to(root).as_posix()
        folder = max((f for f in INCLUDES if where.startswith(f + "/")), key=len, default=None)
        if folder is None:
            faults.append(f"{where}: give its folder a line in {Path(__file__).name}")
            continue
        for included in re.findall(r'^\s*#\s*include\s*"([^"]+)"', path.read_text(encoding="utf-8"), re.MULTILINE):
            if not re.fullmatch(INCLUDES[folder], included):
                faults.append(f"{where} includes {included}; {folder} may include {INCLUDES[folder]}")
            elif "/" not in included and not any((root / f / included).is_file() for f in (folder, "cpp/src")):
                faults.append(f"{where} includes {included}, which is neither in {folder} nor in cpp/src")
            elif folder == "cpp/include/gradwell" and header_rank(included) >= header_rank(path.name):
                faults.append(f"{where} includes {included}, which does not lie below it")
    return faults


def code_files(root):
    for folder in ("cpp", "python", "tests", "bench", "examples", "tools"):
        yield from (path for path in sorted((root / folder).rglob("*")) if path.suffix in CODE)


@in_the_repository
def test_python_imports_run_one_way():
    assert python_faults(ROOT) == []


@in_the_repository
def test_includes_run_one_way():
    assert include_faults(ROOT) == []


@in_the_repository
def test_no_file_is_named_after_nothing():
    assert [path for path in code_files(ROOT) if path.stem.lower() in VAGUE] == []


@in_the_repository
def test_no_file_is_too_long():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in code_files(ROOT)}
    assert {str(path): length for path, length in lengths.items() if length > LONGEST} == {}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("python/gradwell/kernels.py", "from gradwell import network"),
        ("python/gradwell/kernels.py", "def f():\n    from gradwell.training import fit"),
        ("python/gradwell/statistics.py", "import gradwell"),
        ("python/gradwell/theory/depth.py", "from gradwell import fit"),
        ("python/gradwell/datasets/digits.py", "from gradwell.kernels import exp"),
        ("python/gradwell/novelty.py", ""),
        ("cpp/src/cpu/dense.cpp", '#include "layers/dense.h"'),
        ("cpp/src/core/threads.cpp", '#include "cpu/simd.h"'),
        ("cpp/src/layers/dense.cpp", '#include "cpu/gemm.h"'),
        ("cpp/src/program.cpp", '#include "array.h"'),
        ("cpp/bindings/dense.cpp", '#include "layers/dense.h"'),
        ("cpp/include/gradwell/dense.h", '#include "gradwell/kernels.h"'),
        ("cpp/elsewhere/new.cpp", ""),
    ],
)
def test_a_step_upward_is_found(tmp_path, path, text):
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    (tmp_path / "cpp").mkdir(exist_ok=True)
    assert len(python_faults(tmp_path) + include_faults(tmp_path)) == 1


def test_a_cycle_in_one_row_is_found(tmp_path):
    package = tmp_path / "python" / "gradwell"
    package.mkdir(parents=True)
    (package / "layers.py").write_text("import gradwell.losses")
    (package / "losses.py").write_text("from gradwell.layers import Dense")
    assert "cycle" in python_faults(tmp_path)[0]
