"""The record of a stored run, read from its ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.engine.record.fold import fold
from pytest_gump.engine.record.ledger import DAMAGED, read_ledger
from pytest_gump.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.engine.record.records import RunRecord


def read_record(ledger: Path, *, results: bool = True) -> RunRecord:
    """Add up a ledger; without `results`, only what lists and sums need is looked at.

    Raises:
        RunError: it is missing or damaged.
    """
    try:
        record = fold(read_ledger(ledger))
        if results:
            for one in record.attempts:
                _ = one.result  # what is wrong with it shows here
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise RunError(  # an event of another shape than we write
            f"cannot read the ledger {ledger}: {type(error).__name__}: {error}",
            hint=DAMAGED,
        ) from error
    return record
