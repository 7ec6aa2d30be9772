"""Diagnose the zoo and count: found, right layer, right factor, false alarms; exit 1 where a bar does not hold.

Thresholds were chosen on seeds 0 to 3; the table is made on others.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict

from animals import ANIMALS
from others import OTHERS


def wilson(hits, count):
    """Wilson's 95 % interval of a share, and the share."""
    if not count:
        return math.nan, math.nan, math.nan
    z, p = 1.96, hits / count
    centre, half = p + z * z / (2 * count), z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return p, max(0.0, centre - half) / (1 + z * z / count), (centre + half) / (1 + z * z / count)


def look(animal, seed, probed=False):
    """What was found of one animal, and what other tools' thresholds say of it.

    `probed`: with a look beyond the record, of the network as training left it.
    """
    trained = animal.train(seed)
    diagnosis = trained.diagnose(probed or animal.probed)
    others = {name: rule(trained.record, trained.losses) for name, rule in OTHERS.items()}
    alarms = any(f.severity != "note" for f in diagnosis)
    if animal.illness is None:
        return {"alarm": alarms}, others, diagnosis
    finding = diagnosis.get(animal.illness)
    found = finding is not None and finding.severity != "note"
    layer = found and (animal.layers is None or finding.layer in animal.layers)
    factor = found and (not animal.factors or finding.factor in animal.factors)
    return {"found": found, "layer": layer, "factor": factor}, others, diagnosis


def visit(seeds, say=print, probed=False):
    """Diagnose all animals with all seeds; return answers by illness and question."""
    table = defaultdict(lambda: defaultdict(list))
    for animal in ANIMALS:
        for seed in seeds:
            seen, others, diagnosis = look(animal, seed, probed)
            for question, answer in (*seen.items(), *others.items()):
                table[animal.illness or "healthy"][question].append(answer)
            if seen.get("alarm", False) or not seen.get("found", True):
                told = ", ".join(f"{f.rule} {f.layer} {f.factor}" for f in diagnosis) or "nothing"
                say(f"{animal.name}, seed {seed}: {told}")
    return table


def share(answers):
    return wilson(sum(answers), len(answers))


def totals(table):
    """Shares over all illnesses, and of false alarms."""
    ill = [of for name, of in table.items() if name != "healthy"]
    sick = {q: share([a for of in ill for a in of[q]]) for q in ("found", "layer", "factor", *OTHERS)}
    alarms = {f"{q} alarm".strip(): share(table["healthy"][q or "alarm"]) for q in ("", *OTHERS)}
    return {**sick, **alarms}


def lines(table):
    """A Markdown table."""
    yield "| illness | networks | found | right layer | right factor | " + " | ".join(OTHERS) + " |"
    yield "|---" * (5 + len(OTHERS)) + "|"
    for name, of in table.items():
        ours = ("alarm",) if name == "healthy" else ("found", "layer", "factor")
        cells = [f"{100 * p:.0f} % ({100 * low:.0f}-{100 * high:.0f})" for p, low, high in (share(of[q]) for q in ours)]
        cells += [""] * (3 - len(cells))
        other = [f"{100 * share(of[q])[0]:.0f} %" for q in OTHERS]
        yield f"| {name.replace('_', ' ')} | {len(of[ours[0]])} | " + " | ".join((*cells, *other)) + " |"


if __name__ == "__main__":
    chosen = [int(s) for s in sys.argv[1:]] or [10, 11, 12, 13]
    found = visit(chosen, lambda text: print(text, file=sys.stderr), probed=True)
    print(f"{len(ANIMALS)} networks, seeds {chosen}; Wilson's 95 % intervals; healthy: false alarms\n")
    print("\n".join(lines(found)))
    whole = totals(found)
    print(
        "\n"
        + "\n".join(f"{q}: {100 * p:.1f} % ({100 * low:.1f}-{100 * high:.1f})" for q, (p, low, high) in whole.items())
    )
    held = (
        whole["found"][0] >= 0.95
        and whole["layer"][0] >= 0.9
        and whole["factor"][0] >= 0.85
        and whole["alarm"][0] <= 0.02
    )
    sys.exit(0 if held else 1)
