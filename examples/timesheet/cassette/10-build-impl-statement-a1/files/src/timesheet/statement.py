"""One page that says what is to be paid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal

from timesheet.billing import billable
from timesheet.durations import show_minutes
from timesheet.entries import Entry

_CENT = Decimal("0.01")


def statement(entries: Iterable[Entry], rates: Mapping[str, Decimal]) -> str:
    """Write one line for each project, sorted by name, and a total."""
    minutes: defaultdict[str, int] = defaultdict(int)
    for (_, project), part in billable(entries).items():
        minutes[project] += part
    amounts = {project: minutes[project] * rates[project] / 60 for project in sorted(minutes)}
    rows = [(project, minutes[project], amount) for project, amount in amounts.items()]
    rows.append(("total", sum(minutes.values()), sum(amounts.values(), Decimal(0))))
    return _table([(name, show_minutes(time), str(money.quantize(_CENT))) for name, time, money in rows])


def _table(rows: list[tuple[str, str, str]]) -> str:
    name, time, money = (max(len(row[column]) for row in rows) for column in range(3))
    return "\n".join(f"{row[0]:<{name}}  {row[1]:>{time}}  {row[2]:>{money}}" for row in rows)
