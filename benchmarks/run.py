"""Measure speed and check the targets: `make bench`, `make bench BENCH="streams items/git"`.

The exit code is 1 if a target is not met, and 2 for an unknown name. See README.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from importlib import import_module
from typing import TYPE_CHECKING

import psutil
from measure import adopt_orphans
from targets import TARGETS, Measured, Target, is_met

if TYPE_CHECKING:
    from measure import Cost

ROUNDS = {"step": 7, "commands": 9}
"""Number of rounds by topic. All other topics have three, because they take longer."""
BUSY = 0.2
"""If other programs use more than this share of the machine, wall times are unreliable."""


def main() -> int:
    arguments = parse_arguments()
    if arguments.list:
        print(table())
        return 0
    chosen = [target for target in TARGETS if is_chosen(target, arguments.name, full=arguments.full)]
    if not chosen:
        names = ", ".join(target.name for target in TARGETS)
        print(f"unknown target: {', '.join(arguments.name)}\n  hint: known are {names}", file=sys.stderr)
        return 2
    adopt_orphans()
    print(f"{'':<76}{'CPU':>8}{'wall':>8}{'floor:':>12}{'CPU':>6}{'wall':>8}  ratio and its limit")
    began, others = time.perf_counter(), busy_s()
    verdicts: dict[str, bool] = {}
    for topic in dict.fromkeys(target.topic for target in chosen):
        here = {target.name: target for target in chosen if target.topic == topic}
        for measured in import_module(topic).measure(arguments.rounds or ROUNDS.get(topic, 3), list(here)):
            if target := here.get(measured.name):
                verdicts[target.name] = is_met(target, measured)
                print(row(target, measured), flush=True)
    took_s = time.perf_counter() - began
    share = (busy_s() - others) / took_s / (psutil.cpu_count() or 1)
    missed = [name for name, met in verdicts.items() if not met]
    print(f"\n{len(verdicts) - len(missed)} of {len(verdicts)} targets are met, in {took_s:.0f} s.", end=" ")
    print(f"Other programs used {share:.0%} of the machine{'; measure wall times again' if share > BUSY else ''}.")
    print("".join(f"not met: {name}\n" for name in missed), end="")
    return 1 if missed else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="*", help="a target, or a topic such as `streams`; default: all")
    parser.add_argument("--list", action="store_true", help="print the targets as the table of README.md, and exit")
    parser.add_argument("--full", action="store_true", help="include slow targets: growth, other CLIs, older targets")
    parser.add_argument("--rounds", type=int, help="number of measurements of each target; default: 3 to 9")
    return parser.parse_args()


def table() -> str:
    rows = ["| target | what | floor | limit |", "|---|---|---|---|"]
    for target in TARGETS:
        floor = " + ".join(f"{count} x {name}" if count > 1 else name for name, count in Counter(target.floors).items())
        limit = "shown only" if target.limit is None else f"{target.limit:,g} {target.unit}".rstrip()
        limit += {(True, False): " CPU", (False, True): " wall"}.get((target.cpu, target.wall), "")
        limit += f", {target.most:.3g} floors" if target.floors else ""
        name = f"`{target.name}`" + (" (full)" if target.full else "")
        rows.append(f"| {name} | {target.what} | {floor} | {limit} |")
    return "\n".join(rows)


def is_chosen(target: Target, names: list[str], *, full: bool) -> bool:
    if target.name in names:
        return True
    return (target.topic in names or not names) and (full or not target.full)


def row(target: Target, measured: Measured) -> str:
    cells = f"{target.name:<19}{target.what:<57}{both(target, measured.figure)} {target.unit:<9}"
    cells += both(target, measured.floor) if measured.floor else " " * 16
    if (most := target.most) is None:
        return cells.rstrip()
    ratio = measured.ratio
    seen = [f"{one:.2f}" for one, used in ((ratio.cpu_ms, target.cpu), (ratio.wall_ms, target.wall)) if used]
    limit = f"{' / '.join(seen)} <= {most:.3g} ({target.limit:g} {target.unit})" if target.floors else f"<= {most:g}"
    return f"{cells}  {limit:<36}{'met' if is_met(target, measured) else 'not met'}"


def both(target: Target, cost: Cost) -> str:
    """Return CPU time and wall time, or a plain number in the column of the CPU time."""
    return shown(target, cost.cpu_ms) + (shown(target, cost.wall_ms) if target.floors else " " * 8)


def shown(target: Target, value: float) -> str:
    value = 1000 / value if target.unit == "MB/s" else value
    return f"{value:8.{2 if target.unit == 'x' else 0 if value > 100 or target.unit == '' else 1}f}"


def busy_s() -> float:
    """Return the CPU seconds that programs other than this benchmark have used since the machine started."""
    times = psutil.cpu_times()
    own = psutil.Process().cpu_times()
    return times.user + times.system + times.nice - own.user - own.system - own.children_user - own.children_system


if __name__ == "__main__":
    sys.exit(main())
