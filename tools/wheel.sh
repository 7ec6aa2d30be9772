#!/usr/bin/env bash
# Builds sdist and wheel the way a release does, makes the wheel portable, and runs the tests on it in a fresh
# environment that has neither the sources nor a compiler. Usage: tools/wheel.sh PYTHON, from the repository root.
set -euo pipefail

python=$(realpath -s "$1")
tools=$(dirname "$python")
largest=$((5 * 1024 * 1024))
fail() {
  echo "wheel: $*" >&2
  exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf dist wheelhouse

echo "building sdist, and the wheel from it"
"$python" -m build --outdir dist >"$work/log" 2>&1 || {
  tail -n 60 "$work/log" >&2
  fail "the build failed"
}

# auditwheel leaves the wheel as it was when it fails, so the repaired one is told by its name.
echo "repairing"
case $(uname -s) in
  Linux)
    PATH="$tools:$PATH" "$python" -m auditwheel repair --wheel-dir wheelhouse dist/*.whl >"$work/log" 2>&1 || {
      cat "$work/log" >&2
      fail "auditwheel failed"
    }
    portable='*-manylinux_*.whl'
    ;;
  Darwin)
    "$tools/delocate-wheel" --wheel-dir wheelhouse dist/*.whl
    portable='*-macosx_*.whl'
    ;;
  *) fail "no repair for $(uname -s)" ;;
esac
wheels=(wheelhouse/*.whl)
[[ ${#wheels[@]} == 1 ]] || fail "expected one wheel, got ${wheels[*]}"
wheel=$(realpath "${wheels[0]}")
# shellcheck disable=SC2053
[[ $wheel == $portable ]] || fail "$wheel was not repaired"
size=$(wc -c <"$wheel")
((size < largest)) || fail "$wheel has $size bytes; at most $largest"

echo "testing ${wheels[0]} ($((size / 1024)) KiB) in a fresh environment"
"$python" -m venv "$work/venv"
mkdir "$work/away"
cp -r tests pyproject.toml "$work/away"
cd "$work/away"
bare() { PATH="$work/venv/bin" "$work/venv/bin/python" "$@"; }
bare -m pip --disable-pip-version-check --quiet install "$wheel[test]"
bare -c 'import gradwell, sys; sys.exit(not gradwell.__file__.startswith(sys.prefix))' ||
  fail "the tests would not see the installed package"
# What packaging can change: the compiled part, the files beside it, the command line.
bare -m pytest -q -p no:cacheprovider tests/test_*.py tests/kernels tests/training tests/cli tests/datasets tests/report
