"""The results of the methods for people, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def page(found: Mapping[str, Any]) -> str:
    """All experiments, each with its table."""
    machine = found["machine"]
    lines = [
        "# Methods side by side",
        "",
        f"Every method under one recipe, over the same seeds as `{found['baseline']}`. Accuracy is "
        "that on the whole test set after the last epoch; the difference is the mean over seeds of "
        "the difference to the baseline of the same seed, with its 95 % interval by Student's t; "
        "time is processor time of training over the baseline's. Hyper-parameters were chosen on "
        "held-out training images, never on test images.",
        "",
        f"{machine['cpu']}, torch {machine['versions'].get('torch', '?')}, one thread a run.",
    ]
    for name, experiment in found["experiments"].items():
        lines += ["", *_experiment(name, experiment, found)]
    if found["failed"]:
        lines += ["", "## Failed", ""]
        lines += [f"- {name}: {reason}" for name, reason in found["failed"].items()]
    return "\n".join(lines) + "\n"


def _experiment(name: str, told: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    lines = [
        f"## {name}, {told['epochs']} epochs on {told['data']}",
        "",
        f"`{told['recipe']}` with method and seed replaced; {told['test images']:,} test images.",
        "",
        *table(told["rows"], found["baseline"]),
    ]
    chosen = {method: hyper for method, hyper in told["hyper"].items() if hyper}
    if chosen:
        lines += ["", "Hyper-parameters that are not the defaults:", ""]
        lines += [f"- `{method}`: {shown(hyper)}" for method, hyper in chosen.items()]
    below = [row["method"] for row in told["rows"] if row["below"]]
    if below:
        lines += ["", "\\* significantly below the baseline:", ""]
        lines += [f"- `{method}`: {_why(method, found)}" for method in below]
    return lines


def _why(method: str, found: Mapping[str, Any]) -> str:
    known = found["explanations"].get(method)
    return f"{known['why']} (`{known['test']}`)" if known else "not explained yet"


def table(rows: Sequence[Mapping[str, Any]], baseline: str) -> list[str]:
    """One row a method, in points of accuracy."""
    lines = [
        "| method | seeds | test accuracy | lowest to highest | difference, points "
        "| 95 % interval | time |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        is_base = row["method"] == baseline
        difference = "" if row["difference"] is None else f"{100 * row['difference']:+.2f}"
        cells = (
            f"`{row['method']}`" + (" \\*" if row["below"] else ""),
            row["seeds"],
            f"{row['accuracy']:.2%}",
            f"{row['lowest']:.2%} to {row['highest']:.2%}",
            "baseline" if is_base else difference,
            "" if is_base else _interval(row),
            "" if row["time"] is None else f"{row['time']:.2f}",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def _interval(row: Mapping[str, Any]) -> str:
    if row["difference"] is None or row["half"] is None:
        return "one seed" if row["pairs"] == 1 else ""
    low, high = row["difference"] - row["half"], row["difference"] + row["half"]
    return f"{100 * low:+.2f} to {100 * high:+.2f}"


def shown(hyper: Mapping[str, Any]) -> str:
    """Hyper-parameters in one line."""
    return ", ".join(f"{name} = {value}" for name, value in hyper.items())


def tuning(found: Sequence[Mapping[str, Any]]) -> str:
    """The candidates of a tuning, one a row."""
    lines = ["| method | hyper-parameters | epochs | held-out accuracy | CPU s |"]
    lines.append("|---|---|---:|---:|---:|")
    lines += [
        f"| `{entry['method']}` | {shown(entry['hyper']) or 'defaults'} | {entry['epochs']} "
        f"| {entry['accuracy']:.2%} of {entry['held out']:,} | {entry['cpu seconds']:.0f} |"
        for entry in found
    ]
    return "\n".join(lines) + "\n"
