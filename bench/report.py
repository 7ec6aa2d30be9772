"""What a comparison leaves behind: lines on the terminal, JSON, a Markdown table and a bar chart."""

import statistics


def show(row):
    print(row["job"], flush=True)
    for name, values in row["times"].items():
        print(f"  {name:16} best {min(values):10.1f}  median {statistics.median(values):10.1f} µs")
    for name in row["absent"]:
        print(f"  {name:16} is not installed")
    for bar in row["bars"]:
        print(f"  {bar['bar']:40} {bar['peer']:14} {bar['ratio']:6.2f}  {'holds' if bar['holds'] else 'FALLS SHORT'}")
