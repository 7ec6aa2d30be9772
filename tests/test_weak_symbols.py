"""No symbol of a CPU level's object files may be shared with another level.

An inline function outside the level's namespace is emitted weakly by every level that uses it, and the linker
keeps one of them for all: if that one was compiled for AVX-512, the program dies on CPUs without it.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Written by the compiler around exceptions: an address, and a call of std::terminate without vector code.
HARMLESS = {"DW.ref.__gxx_personality_v0", "__clang_call_terminate"}

pytestmark = pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm (binutils)")


def foreign_symbols(objects, level):
    """Global symbols defined in these objects, weak, unique and common ones included, outside the namespace."""
    command = ["nm", "-C", "--defined-only", "--extern-only", *map(str, objects)]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names = re.findall(r"^[0-9a-f]* +[A-Zu] (.+)$", listing, re.MULTILINE)
    assert names, f"nm lists no symbols for {level}"
    return {name for name in names if f"gradwell::cpu_{level}::" not in name} - HARMLESS


def level_objects():
    """{(build folder, level): objects}, of sources that still exist and of builds without sanitizers."""
    found = {}
    for cache in sorted((ROOT / "build").glob("*/CMakeCache.txt")):
        if "GRADWELL_SANITIZE:BOOL=ON" in cache.read_text(encoding="utf-8"):
            continue
        for folder in (cache.parent / "CMakeFiles").glob("gradwell_cpu_*.dir"):
            level = folder.name.removeprefix("gradwell_cpu_").removesuffix(".dir")
            for path in sorted(folder.rglob("*.o")):
                source = ROOT / path.relative_to(folder).with_suffix("")
                if source.is_file() and source.stat().st_mtime <= path.stat().st_mtime:
                    found.setdefault((cache.parent.name, level), []).append(path)
    return found


def test_levels_share_no_symbol():
    objects = level_objects()
    if not objects:
        pytest.skip("needs the build folder; an installed package has none")
    for (build, level), files in objects.items():
        assert foreign_symbols(files, level) == set(), f"{build}, level {level}"


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
@pytest.mark.parametrize(
    ("outside", "foreign"),
    [
        ("inline int shared(int x) { return x / 3; }", "shared(int)"),
        ("template <class T> T shared(T x) { return x / 3; }", "int shared<int>(int)"),
        ("inline int count = 0; inline int shared(int x) { return count += x; }", "count"),
        ("static int shared(int x) { return x / 3; }", None),
    ],
    ids=["inline", "template", "variable", "internal"],
)
def test_a_shared_symbol_is_found(tmp_path, outside, foreign):
    source = tmp_path / "kernel.cpp"
    source.write_text(f"{outside}\nnamespace gradwell::cpu_v4 {{ int kernel(int x) {{ return shared(x); }} }}\n")
    compiled = tmp_path / "kernel.o"
    subprocess.run(["g++", "-std=c++17", "-O0", "-c", source, "-o", compiled], check=True)
    found = foreign_symbols([compiled], "v4")
    assert found == set() if foreign is None else foreign in found
