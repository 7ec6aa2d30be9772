"""Write python/gradwell/_core.pyi from the compiled module, or with --check compare it."""

import ast
import difflib
import subprocess
import sys
import tempfile
from pathlib import Path

STUB = Path(__file__).resolve().parents[1] / "python" / "gradwell" / "_core.pyi"
HEADER = "# Written by `make stubs` from the compiled module; changes by hand are lost.\n"

ARRAY = "numpy.typing.NDArray[typing.Any]"
# What the bindings return as a plain object is an array, unless it is here.
RETURNS = {
    "dense_backward": f"tuple[{ARRAY} | None, {ARRAY}, {ARRAY}]",
    "gradient_statistics": f"tuple[tuple[typing.Any, ...], {ARRAY}]",
    "loss": f"tuple[float, {ARRAY}]",
    "prelu_backward": f"tuple[{ARRAY}, {ARRAY}]",
    "evaluate": "tuple[float, int, int]",
    "gradients": f"dict[str, {ARRAY}]",
    "parameters": f"dict[str, {ARRAY}]",
}
# Bare containers, and the protocols that pybind11 accepts for numbers, as a caller should write them.
CONTAINERS = {"dict": "dict[str, typing.Any]", "tuple": "tuple[typing.Any, ...]", "list": "list[typing.Any]"}
NUMBERS = {
    "typing.SupportsFloat | typing.SupportsIndex": "float",
    "typing.SupportsInt | typing.SupportsIndex": "int",
}


def expression(text: str) -> ast.expr:
    """Parse an annotation."""
    return ast.parse(text, mode="eval").body


class _Annotation(ast.NodeTransformer):
    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        node.slice = self.visit(node.slice)
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return expression(CONTAINERS[node.id]) if node.id in CONTAINERS else node


def _annotation(node: ast.expr) -> ast.expr:
    text = ast.unparse(node)
    for long, short in NUMBERS.items():
        text = text.replace(long, short)
    result: ast.expr = _Annotation().visit(expression(text))
    return result


def _refine(function: ast.FunctionDef) -> None:
    for argument in [*function.args.args, *function.args.kwonlyargs]:
        if argument.annotation:
            argument.annotation = _annotation(argument.annotation)
    if not function.returns:
        return
    returned = ast.unparse(_annotation(function.returns))
    if returned == "typing.Any":
        returned = ARRAY
    function.returns = expression(RETURNS.get(function.name, returned))


def generate() -> str:
    """Return the text of the stub."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pybind11_stubgen", "gradwell._core", "--exit-code", "-o", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        tree = ast.parse((Path(folder) / "gradwell" / "_core.pyi").read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    unknown = RETURNS.keys() - {function.name for function in functions}
    if unknown:
        raise SystemExit(f"tools/stubs.py: RETURNS names functions that are gone: {sorted(unknown)}")
    for function in functions:
        _refine(function)
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id != "__all__":
            node.value = None  # a constant's value may differ from machine to machine
    docstring = tree.body[0]
    if isinstance(docstring, ast.Expr) and isinstance(docstring.value, ast.Constant):
        docstring.value = ast.Constant(str(docstring.value.value).strip())
    tree.body[2:2] = [ast.Import([ast.alias("numpy.typing")]), ast.Import([ast.alias("typing")])]
    return _tidy(HEADER + ast.unparse(tree))


def _tidy(text: str) -> str:
    for command in (["check", "--select", "F401,I", "--fix-only", "--quiet"], ["format"]):
        line = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(STUB), "-"]
        text = subprocess.run(line, input=text, check=True, capture_output=True, text=True).stdout
    return text


def main() -> None:
    """Write the stub or, with --check, exit with 1 and a diff where it is not current."""
    made = generate()
    if "--check" not in sys.argv[1:]:
        STUB.write_text(made, encoding="utf-8")
        return
    kept = STUB.read_text(encoding="utf-8") if STUB.exists() else ""
    if made != kept:
        lines = difflib.unified_diff(kept.splitlines(), made.splitlines(), "checked in", "compiled", lineterm="")
        raise SystemExit("\n".join(lines) + "\n_core.pyi is not current: run `make stubs`")


if __name__ == "__main__":
    main()
