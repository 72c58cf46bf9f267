"""Run pytest and write what its process has loaded, and its peak memory: `loaded.py FILE ARGUMENTS...`."""

from __future__ import annotations

import dataclasses
import json
import resource
import sys
from pathlib import Path
from typing import Any

import pytest

count = 0
make = dataclasses._process_class  # type: ignore[attr-defined]  # noqa: SLF001 - every dataclass is made by it


def counted(*arguments: Any, **options: Any) -> type:
    global count  # noqa: PLW0603
    count += 1
    made: type = make(*arguments, **options)
    return made


def peak_mb() -> float:
    """Most memory that this program had; `ru_maxrss` would begin with that of the process that started it."""
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
