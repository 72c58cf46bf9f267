"""A pytest plugin for `paths.py`. It writes the calls of modules of the package, in order, to the file CALL_TRACE.

Each line is one of these:

* `call THREAD CALLER MODULE FUNCTION`: a function of a module is called; the caller is `-` outside the package
* `open MODULE NAME`: a module opens a file for reading
* `report`: pytest logs a report

Calls during an import are left out.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_FUNCTION = 0x01  # CO_OPTIMIZED: not the body of a module or a class
_rows: list[str] = []
_names: dict[str, str | None] = {}


def module_of(frame: FrameType) -> str | None:
    """Return the module of the package whose function runs in a frame; None for all other code."""
    file = frame.f_code.co_filename
    if file not in _names:
        _, found, inner = file.rpartition("/pytest_gump/")
        name = inner.removesuffix(".py").replace("/", ".").removesuffix("__init__").removesuffix(".")
        _names[file] = name if found and "/tests/" not in file else None
    return _names[file] if frame.f_code.co_flags & _FUNCTION else None


def caller_of(frame: FrameType) -> str | None:
    """Return the next module of the package up the stack, `-` if there is none, or None during an import."""
    above = frame.f_back
    while above is not None:
        if above.f_code.co_name == "<module>":
            return None
        if (name := module_of(above)) is not None:
            return name
        above = above.f_back
    return "-"


def on_call(frame: FrameType, event: str, _: Any) -> None:
    if event != "call" or (module := module_of(frame)) is None:
        return
    if (caller := caller_of(frame)) is not None:
        _rows.append(f"call {threading.get_ident()} {caller} {module} {frame.f_code.co_name}")


def on_open(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str | Path) and not arguments[2] & os.O_CREAT:
        _rows.append(f"open {caller_of(sys._getframe())} {Path(arguments[0]).name}")  # noqa: SLF001 - the stack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_logreport() -> Iterator[None]:
    yield
    _rows.append("report")


def pytest_unconfigure() -> None:
    sys.setprofile(None)
    Path(os.environ["CALL_TRACE"]).write_text("\n".join(_rows))


if "PYTEST_XDIST_WORKER" not in os.environ:
    sys.addaudithook(on_open)
    threading.setprofile(on_call)
    sys.setprofile(on_call)
