"""What the parts of a check say: their logs judged, and all written as results.json and results.md."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from gpu_run import Ended

TEST = re.compile(r"^\S+?::.*? (PASSED|FAILED|ERROR|SKIPPED|XFAIL)\b")
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?::.*?)(?: - |$)")
ERRORS = re.compile(r"SUMMARY: .*?(\d+) errors?\b")
FOUND = re.compile(r"^=+ +(Invalid|Uninitialized|Error|Race|Program hit|Misaligned|Unused)")
TAIL = 30  # lines


def tail(log: Path) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:])


def judge_plain(log: Path, ended: Ended) -> dict[str, Any]:
    """Judge a command by its exit status."""
    if ended.stopped:
        return {"outcome": "failed", "note": f"stopped at its limit of {ended.seconds:.0f} s", "tail": tail(log)}
    if ended.status:
        return {"outcome": "failed", "note": f"exit status {ended.status}", "tail": tail(log)}
    return {"outcome": "passed", "note": ""}


def counted(log: Path) -> tuple[dict[str, int], list[str]]:
    """Return how many tests passed, failed and were skipped by a log of ``pytest -v``, and which failed."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    words = Counter(found[1] for line in lines if (found := TEST.match(line)))
    counts = {
        "passed": words["PASSED"] + words["XFAIL"],
        "failed": words["FAILED"] + words["ERROR"],
        "skipped": words["SKIPPED"],
    }
    return counts, [found[1] for line in lines if (found := FAILED.match(line))]


def judge_pytest(log: Path, ended: Ended) -> dict[str, Any]:
    """Judge tests: some must have run, none may have failed, and all must have had the time."""
    counts, failed = counted(log)
    result: dict[str, Any] = {"outcome": "passed", "note": "", "counts": counts, "failed": failed}
    if ended.stopped:
        result.update(outcome="failed", note=f"stopped at its limit after {ended.seconds:.0f} s")
    elif ended.status:
        result.update(outcome="failed", note=f"exit status {ended.status}")
    elif not counts["passed"]:
        result.update(outcome="failed", note="no test ran")
    return result if result["outcome"] == "passed" else {**result, "tail": tail(log)}


def judge_sanitizer(log: Path, ended: Ended) -> dict[str, Any]:
    """Judge tests under compute-sanitizer by what it found; here a limit that was reached is no failure."""
    counts, failed = counted(log)
    report = log.with_name(f"{log.stem}-errors.txt")
    text = report.read_text(encoding="utf-8", errors="replace") if report.is_file() else ""
    summaries = [int(count) for count in ERRORS.findall(text)]
    found = sum(summaries) if summaries else sum(bool(FOUND.match(line)) for line in text.splitlines())
    counts["errors found"] = found
    result: dict[str, Any] = {"outcome": "passed", "note": "", "counts": counts, "failed": failed}
    if found or counts["failed"] or (ended.status and not ended.stopped):
        return {**result, "outcome": "failed", "note": f"{found} errors", "tail": tail(report if text else log)}
    if not counts["passed"]:
        return {**result, "outcome": "failed", "note": "no test ran", "tail": tail(log)}
    return {**result, "note": f"stopped at its limit after {ended.seconds:.0f} s"} if ended.stopped else result


def judge_bench(log: Path, ended: Ended) -> dict[str, Any]:
    """Judge the measurements: bars that are not reached are told, and are no failure."""
    bars = [line for line in log.read_text(encoding="utf-8").splitlines() if line.endswith("bars reached")]
    return {**judge_plain(log, ended), **({"note": bars[-1]} if bars else {})}


def markdown(facts: dict[str, Any], results: list[dict[str, Any]], bench: str) -> str:
    """Return the page."""
    what = facts.get("name") or facts.get("reason") or "nothing is known of the GPU"
    lines = [f"# Check on a GPU: {what}", "", "| part | outcome | passed | failed | skipped | s | note |"]
    lines.append("|---|---|---|---|---|---|---|")
    for result in results:
        counts = result.get("counts", {})
        cells = [str(counts.get(word, "")) for word in ("passed", "failed", "skipped")]
        outcome = f"**{result['outcome']}**" if result["outcome"] == "failed" else result["outcome"]
        note = result["note"].replace("|", "\\|").splitlines()[0] if result["note"] else ""
        lines.append(f"| {result['name']} | {outcome} | {' | '.join(cells)} | {result['seconds']:.0f} | {note} |")
    for result in results:
        if result["outcome"] != "failed":
            continue
        lines += ["", f"## {result['name']}", ""]
        lines += [f"- `{name}`" for name in result.get("failed", [])]
        if result.get("tail"):
            lines += ["", "```", result["tail"], "```"]
    if bench:
        lines += ["", "## Measured", "", bench]
    return "\n".join(lines).rstrip() + "\n"


def write(folder: Path, facts: dict[str, Any], results: list[dict[str, Any]]) -> None:
    """Write results.json and results.md, with what the measurements have left so far."""
    measured, page = folder / "bench" / "gpu.json", folder / "bench" / "gpu.md"
    here = any(result["name"] == "bench" for result in results)
    bench = json.loads(measured.read_text(encoding="utf-8")) if here and measured.is_file() else None
    text = json.dumps({"gpu": facts, "parts": results, "bench": bench}, indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(text + "\n", encoding="utf-8")
    told = page.read_text(encoding="utf-8") if here and page.is_file() else ""
    (folder / "results.md").write_text(markdown(facts, results, told), encoding="utf-8")
