"""The targets: what is measured, the floor for comparison, and the limit.

Limits and FLOORS are figures of the reference machine, on which the targets were set. Ratios are compared: the figure
divided by the floor of the same run must not exceed the limit divided by the floor of the reference machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from measure import Cost, least

if TYPE_CHECKING:
    from collections.abc import Sequence

FLOORS: Final = {
    "python": (14.0, "`python -c pass`"),
    "pytest": (245.0, "an empty pytest session, `-p no:gump`, without the plugins of the development tools"),
    "snapshot": (3.8, "`git add --all` and `git write-tree`"),
    "large snapshot": (132.0, "the same in 50,000 files"),
    "long lines": (4.8, "`cat` and `json.loads` of 1 MB, lines of 3,000 bytes"),
    "short lines": (6.6, "`cat` and `json.loads` of 1 MB, lines of 700 bytes"),
    **{
        f"lines of {cli}": (each_ms, f"`json.loads` of 1 MB of {cli}, all recorded runs")
        for cli, each_ms in (("claude", 5.6), ("codex", 3.2), ("gemini", 2.7), ("qwen", 5.2), ("opencode", 5.8))
    },
    "events": (350.0, "PyYAML's events of 1,000 files of 20 steps"),
}
"""Milliseconds on the reference machine, and what is measured."""


@dataclass(frozen=True, slots=True)
class Target:
    """A target without floors is a number that does not depend on the machine. Without a limit, it is only shown."""

    name: str
    what: str
    limit: float | None = None
    unit: str = "ms"
    floors: tuple[str, ...] = ()
    cpu: bool = True
    wall: bool = True
    full: bool = False

    @property
    def topic(self) -> str:
        return self.name.partition("/")[0]

    @property
    def reference_ms(self) -> float:
        return sum(FLOORS[floor][0] for floor in self.floors)

    @property
    def most(self) -> float | None:
        """The largest ratio of figure to floor; without floors, the largest figure."""
        if self.limit is None or not self.floors:
            return self.limit
        return (1000 / self.limit if self.unit == "MB/s" else self.limit) / self.reference_ms


ONE_SNAPSHOT = ("pytest", "large snapshot")
TEN_SNAPSHOTS = ("pytest", *["large snapshot"] * 10)

TARGETS: Final = (
    Target("step/session", "one step in 5 files, beyond an empty session", 400, floors=("pytest",)),
    Target("step/imports", "imports of one step, beyond an empty session", 200, floors=("pytest",), wall=False),
    Target("step/dataclasses", "dataclasses of one step, beyond an empty session", 110, ""),
    Target("step/modules", "modules of one step, beyond an empty session", None, ""),
    Target("step/git", "git processes of one step", 12, ""),
    Target("step/plugin", "imports of a session that does not use the plugin", 10, floors=("pytest",), wall=False),
    Target("items/one", "one more item in 5 files", 18, floors=("snapshot",)),
    Target("items/git", "git processes of one more item", 4, ""),
    Target("large/item", "one more item in 50,000 files", 162, floors=("large snapshot",)),
    Target("large/first", "one step in 50,000 files, first, beyond the checkout", 600, floors=ONE_SNAPSHOT),
    Target("large/again", "one step in 50,000 files, again", 800, floors=ONE_SNAPSHOT),
    Target("large/parallel", "10 parallel items in 50,000 files, warm", 4000, floors=TEN_SNAPSHOTS, cpu=False),
    Target("waiting/cpu", "8 parallel items of a 2 s agent", 3500, floors=("pytest",), wall=False),
    Target("waiting/wall", "the same, from the plan, beyond the 2 s", 1200, floors=("pytest",), cpu=False),
    Target("calls/collect", "--collect-only, 1,000 calls of ten steps, beyond 10,000 steps", 1000, floors=("pytest",)),
    Target("calls/whole", "the same, beyond an empty session", 2000, floors=("pytest",), wall=False),
    Target("commands/dry-run", "gump run --dry-run", 350, floors=("python",)),
    Target("commands/report", "gump report", 150, floors=("python",)),
    Target("commands/doctor", "gump doctor", 400, floors=("python",)),
    Target("commands/status", "gump status", 80, floors=("python",)),
    Target("streams/long", "a stream of Claude Code, long lines", 80, "MB/s", floors=("long lines",), wall=False),
    Target("streams/short", "a stream of Claude Code, short lines", 30, "MB/s", floors=("short lines",), wall=False),
    *(
        Target(f"readers/{cli}", f"the reader of {cli} alone", 60, "MB/s", (f"lines of {cli}",), wall=False, full=True)
        for cli in ("claude", "codex", "gemini", "qwen", "opencode")
    ),
    Target("streams/memory", "memory for lines of 50 MB and 15 MB", 40, "MB", full=True),
    Target("growth/items", "400 items: controller, last 100 attempts to first", 1.1, "x"),
    Target("growth/1,000-items", "1,000 items: controller, last 100 attempts to first", 1.1, "x", full=True),
    Target("growth/10,000-items", "10,000 items: controller, last 100 attempts to first", 1.1, "x", full=True),
    Target("growth/1,000-steps", "1,000 steps: controller, last 100 attempts to first", 1.1, "x", full=True),
    Target("growth/schedule", "10,000 items: one of the last decisions", 1, floors=("python",), wall=False, full=True),
    Target("growth/runs", "one step beside 10,000 runs, to one beside 1,000", 1.1, "x", full=True),
    Target("growth/status", "gump status: a run of 10,000 to one of 1,000", 1.1, "x", full=True),
    Target("growth/report", "gump report --last: a run of 10,000 to one of 1,000", 1.1, "x", full=True),
    Target("kept/collect", "--collect-only, 1,000 files of 20 steps", 3000, floors=("events",), full=True),
    Target("kept/resume", "one more step that a resume reuses", 3, floors=("snapshot",), full=True),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures and floors of one target in all rounds. A plain number has no floors."""

    name: str
    figures: Sequence[Cost]
    floors: Sequence[Cost] = ()
    less: Sequence[Cost] = ()
    """Costs to subtract from the figures, such as those of a session with nothing to do."""
    parts: float = 1
    """Number of items or megabytes by which the rest is divided."""

    @property
    def figure(self) -> Cost:
        rest = least(self.figures) - least(self.less) if self.less else least(self.figures)
        return rest * (1 / self.parts)

    @property
    def floor(self) -> Cost | None:
        return least(self.floors) if self.floors else None

    @property
    def ratio(self) -> Cost:
        """The figure divided by the floor; without a floor, the figure."""
        return self.figure.over(self.floor) if self.floor else self.figure


def number(name: str, value: float) -> Measured:
    return Measured(name, (Cost(value, value),))


def is_met(target: Target, measured: Measured) -> bool:
    """True if the times that the target limits (CPU, wall or both) are within the limit."""
    ratio, most = measured.ratio, target.most
    if most is None:
        return True
    return not (target.cpu and ratio.cpu_ms > most) and not (target.wall and ratio.wall_ms > most)
