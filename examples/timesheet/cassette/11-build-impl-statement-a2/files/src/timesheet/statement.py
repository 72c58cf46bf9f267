"""One page that says what is to be paid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal

from timesheet.billing import billable
from timesheet.durations import show_minutes
from timesheet.entries import Entry

_CENT = Decimal("0.01")


def statement(entries: Iterable[Entry], rates: Mapping[str, Decimal]) -> str:
    """Write one line for each project, sorted by name, and a total.

    Amounts are rounded once for each project; the total adds up what is printed.
    """
    minutes: defaultdict[str, int] = defaultdict(int)
    for (_, project), part in billable(entries).items():
        minutes[project] += part
    amounts = {project: _amount(project, minutes[project], rates) for project in sorted(minutes)}
    rows = [(project, show_minutes(minutes[project]), str(amount)) for project, amount in amounts.items()]
    total = sum(amounts.values(), Decimal("0.00"))
    return _table([*rows, ("total", show_minutes(sum(minutes.values())), str(total))])


def _amount(project: str, minutes: int, rates: Mapping[str, Decimal]) -> Decimal:
    if project not in rates:
        raise ValueError(f"no rate for project {project!r}")
    return (minutes * rates[project] / 60).quantize(_CENT, rounding=ROUND_HALF_UP)


def _table(rows: list[tuple[str, str, str]]) -> str:
    name, time, money = (max(len(row[column]) for row in rows) for column in range(3))
    return "\n".join(f"{row[0]:<{name}}  {row[1]:>{time}}  {row[2]:>{money}}" for row in rows)
