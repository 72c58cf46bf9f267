"""Runs pytest, and writes its modules, number of dataclasses and peak memory: `loaded.py FILE ARGUMENTS...`."""

from __future__ import annotations

import dataclasses
import json
import resource
import sys
from pathlib import Path
from typing import Any

import pytest

count = 0
make = dataclasses._process_class  # type: ignore[attr-defined]  # noqa: SLF001 - it creates every dataclass


def counted(*arguments: Any, **options: Any) -> type:
    global count  # noqa: PLW0603
    count += 1
    made: type = make(*arguments, **options)
    return made


def peak_mb() -> float:
    """Return the peak memory of this program. On Linux, `ru_maxrss` starts with the value of the parent process."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1000


if __name__ == "__main__":
    dataclasses._process_class = counted  # type: ignore[attr-defined]  # noqa: SLF001
    file = Path(sys.argv[1]).absolute()
    code = pytest.main(sys.argv[2:])
    file.write_text(json.dumps({"modules": list(sys.modules), "dataclasses": count, "peak_mb": peak_mb()}))
    sys.exit(code)
