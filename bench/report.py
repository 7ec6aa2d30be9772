"""What a comparison leaves behind: lines on the terminal, JSON, a Markdown table and a bar chart."""

import json
import os
import platform
import statistics
from pathlib import Path

import gradwell as gw

WORDS = ("holds", "FALLS SHORT")


def show(row, words=WORDS):
    """Print one job's figures; `words` are said of a bar that holds, and of one that does not."""
    unit = row.get("unit", "µs")
    print(row["job"], flush=True)
    for name, values in row["times"].items():
        print(f"  {name:16} best {min(values):10.1f}  median {statistics.median(values):10.1f} {unit}")
    for name, why in row["absent"].items():
        print(f"  {name:16} left out: {why}")
    for bar in row["bars"]:
        verdict = words[not bar["holds"]]
        print(f"  {bar['bar']:40} {bar['peer']:14} {bar['ratio']:6.2f}  {verdict}", flush=True)


def machine(peaks):
    """Return what the figures were measured on."""
    model = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    info = gw.build_info()
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "level": info["cpu_level"],
        "compiler": info["compiler"],
        "python": platform.python_version(),
        "peaks_of_a_core": peaks,
    }


def write(folder, rows, peaks):
    """Write compare.json, compare.md and compare.png."""
    folder.mkdir(parents=True, exist_ok=True)
    about = machine(peaks)
    text = json.dumps({"machine": about, "rows": rows}, indent=1, ensure_ascii=False)
    (folder / "compare.json").write_text(text + "\n", encoding="utf-8")
    (folder / "compare.md").write_text(markdown(about, rows), encoding="utf-8")
    draw(folder / "compare.png", rows)


def markdown(about, rows):
    """Return the whole page."""
    versions = sorted({version for row in rows for version in row["versions"].values()})
    peak = about["peaks_of_a_core"]
    lines = [
        f"{about['processor']}, {about['cores']} cores, CPU level {about['level']}, {about['compiler']}, Python "
        f"{about['python']}; {', '.join(versions)}. One core at most: {peak['gflops']:.0f} GF/s in float32; reads "
        + ", ".join(f"{rate:.0f} GB/s from {kib} KiB" for kib, rate in peak["gbytes"].items())
        + ".",
        "",
    ]
    return "\n".join(lines) + "\n" + table(rows)


def table(rows, words=("yes", "**no**"), title="holds"):
    """Return a line for every job, and one more for every further bar of it."""
    lines = [
        f"| job | gradwell | best peer | others | bar | measured | {title} |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        unit = row.get("unit", "µs")
        medians = {name: statistics.median(values) for name, values in row["times"].items()}
        peers = {n: m for n, m in medians.items() if "gradwell" not in n and "stats" not in n and "depth" not in n}
        best = min(peers, key=peers.get, default=None)
        shown = [name for name in medians if name not in ("gradwell", best)]
        cells = [
            row["job"],
            f"{medians['gradwell']:.4g} {unit}" if "gradwell" in medians else "",
            f"{best} {peers[best]:.4g}" if best else "",
            ", ".join(f"{name} {medians[name]:.4g}" for name in shown),
        ]
        for bar in row["bars"]:
            verdict = words[not bar["holds"]]
            lines.append(f"| {' | '.join(cells)} | {bar['bar']} | {bar['ratio']:.2f} | {verdict} |")
            cells = ["", "", "", ""]
        if not row["bars"]:
            lines.append(f"| {' | '.join(cells)} |  |  |  |")
    return "\n".join(lines) + "\n"


def spelled(microseconds):
    """Return a time as one would say it."""
    return f"{microseconds:.1f} µs" if microseconds < 1000 else f"{microseconds / 1000:.1f} ms"


def draw(file, rows):
    """Draw every contestant's time relative to ours, a panel a job."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    rows = [row for row in rows if "gradwell" in row["times"] and row["versions"]]
    if not rows:
        return
    columns = 3
    lines = -(-len(rows) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(13, 2.4 * lines), squeeze=False, layout="constrained")
    for panel in axes.flat:
        panel.set_visible(False)
    for panel, row in zip(axes.flat, rows, strict=False):
        panel.set_visible(True)
        medians = {name: statistics.median(values) for name, values in row["times"].items()}
        names = sorted(medians, key=medians.get)
        ratios = [medians[name] / medians["gradwell"] for name in names]
        colours = ["tab:blue" if name.startswith("gradwell") else "0.7" for name in names]
        bars = panel.barh(names, ratios, color=colours)
        panel.bar_label(bars, [f"{ratio:.3g}" for ratio in ratios], padding=2, fontsize=7)
        panel.set_xscale("log")
        panel.set_xlim(0.5, max(ratios) * 2.5)
        panel.axvline(1, color="tab:blue", linewidth=0.8)
        panel.set_ylim(9.6, -0.6)  # as many places as there may be contestants, so that all bars are of one height
        panel.tick_params(labelsize=7)
        panel.set_xticks([])
        panel.set_xticks([], minor=True)
        panel.spines[["top", "right", "bottom"]].set_visible(False)
        panel.set_title(f"{row['job']}: gradwell {spelled(medians['gradwell'])}", fontsize=8)
    figure.supxlabel("time relative to gradwell's (log scale); shorter is faster", fontsize=9)
    figure.savefig(file, dpi=120)
    plt.close(figure)
