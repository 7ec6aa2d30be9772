"""Diagnose the zoo and count: found, right layer, right factor, false alarms, with Wilson's 95 % intervals."""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict

from animals import ANIMALS

import gradwell as gw


def wilson(hits, count):
    """Wilson's 95 % interval of a share, and the share."""
    if not count:
        return math.nan, math.nan, math.nan
    z, p = 1.96, hits / count
    centre, half = p + z * z / (2 * count), z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return p, (centre - half) / (1 + z * z / count), (centre + half) / (1 + z * z / count)


def look(animal, seed):
    """What was found of one animal: (found, right layer, right factor) of a sick one, (alarm,) of a healthy one."""
    diagnosis = gw.diagnose(animal.train(seed))
    alarms = [f for f in diagnosis if f.severity != "note"]
    if animal.illness is None:
        return {"alarm": bool(alarms)}, diagnosis
    if animal.illness not in diagnosis:
        return {"found": False, "layer": False, "factor": False}, diagnosis
    finding = diagnosis[animal.illness]
    return {
        "found": finding.severity != "note",
        "layer": animal.layers is None or finding.layer in animal.layers,
        "factor": not animal.factors or finding.factor in animal.factors,
    }, diagnosis


def visit(seeds, say=print):
    """Diagnose all animals with all seeds; return counts by illness."""
    table = defaultdict(lambda: defaultdict(list))
    for animal in ANIMALS:
        for seed in seeds:
            seen, diagnosis = look(animal, seed)
            for question, answer in seen.items():
                table[animal.illness or "healthy"][question].append(answer)
            wrong = seen.get("alarm", False) or not all(v for k, v in seen.items() if k != "alarm")
            if wrong:
                told = ", ".join(f"{f.rule} {f.layer} {f.factor}" for f in diagnosis) or "nothing"
                say(f"{animal.name}, seed {seed}: {seen}, said {told}")
    return table


def totals(table):
    """Shares over all illnesses, and of false alarms."""
    sick = {
        q: [a for name, of in table.items() if name != "healthy" for a in of[q]] for q in ("found", "layer", "factor")
    }
    return {
        **{q: wilson(sum(v), len(v)) for q, v in sick.items()},
        "alarm": wilson(sum(table["healthy"]["alarm"]), len(table["healthy"]["alarm"])),
    }


if __name__ == "__main__":
    chosen = [int(s) for s in sys.argv[1:]] or [10, 11, 12]
    found = visit(chosen, lambda text: print(text, file=sys.stderr))
    print(f"{len(ANIMALS)} networks, seeds {chosen}")
    for name, of in found.items():
        parts = [
            f"{q} {100 * p:.0f} % ({100 * low:.0f}-{100 * high:.0f})"
            for q, v in of.items()
            for p, low, high in [wilson(sum(v), len(v))]
        ]
        print(f"{name:20} {'  '.join(parts)}")
    print(json.dumps({q: [round(v, 4) for v in values] for q, values in totals(found).items()}))
