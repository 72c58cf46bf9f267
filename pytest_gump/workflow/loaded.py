"""A loaded workflow, with the files of the workflows that it calls."""

from __future__ import annotations

from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_gump.errors import Problem
    from pytest_gump.workflow.find import Source
    from pytest_gump.workflow.model import Workflow


class Loaded(NamedTuple):
    workflow: Workflow
    path: Path | None
    source: Source
    text: str
    lines: Mapping[str, int]
    """1-based line at which each step of the file begins, groups included, by static path (`build::impl`)."""
    notes: tuple[Problem, ...] = ()
    """Notes about input that is valid but probably not intended; each is shown once."""
    calls: Mapping[str, Loaded] = MappingProxyType({})
    """The called workflows, by the static path of the step that calls them."""
    name: str = ""
    """The name or file under which the workflow was found."""
    depth: int = 0
    """How deep its calls are nested; 0 without calls."""
    is_former: bool = False
    """True if the file is one of Gump 0.0.4."""
    agent_inputs: tuple[str, ...] = ()
    """The inputs that are agents of its steps. With other values, it is another workflow."""
    value_lines: Mapping[tuple[str, str], int] = MappingProxyType({})
    """1-based line of each value of `with`, by the static path of the call and the name of the input."""
    size: int = 0
    """Number of steps, including those of calls and validators."""

    def location(self, static: str) -> tuple[Path | None, int | None]:
        """Return the file and the line of a step; of a step of a called workflow, those in its own file."""
        loaded, static = self._file_of(static)
        return loaded.path, loaded.lines.get(static)

    def value_location(self, static: str, name: str) -> tuple[Path | None, int | None]:
        """Return the file and the line in which the call with a static path gives an input its value."""
        loaded, static = self._file_of(static)
        return loaded.path, loaded.value_lines.get((static, name))

    def _file_of(self, static: str) -> tuple[Loaded, str]:
        """Return the file that contains a step, with the static path of the step in this file."""
        names = static.split("::")
        for depth in range(len(names) - 1 if self.calls and static not in self.lines else 0, 0, -1):
            called = self.calls.get("::".join(names[:depth]))
            if called is not None:
                return called._file_of("::".join(names[depth:]))  # noqa: SLF001 - of the same class
        return self, static

    def copies(self) -> dict[str, str]:
        """Return the texts of this and all called workflows, by the names of their copies in a run's folder."""
        files: set[Path | str] = set()
        copies: dict[str, str] = {}
        waiting = [self]
        for loaded in waiting:
            file = loaded.path or loaded.name
            if file not in files:
                files.add(file)
                stem = "workflow" if loaded is self else f"called-{loaded.workflow.name}"
                name = next(name for name in _numbered(stem) if name not in copies)
                copies[name] = loaded.text
                waiting += {id(called): called for called in loaded.calls.values()}.values()
        return copies


def _numbered(stem: str) -> Iterator[str]:
    yield f"{stem}.yaml"
    yield from (f"{stem}-{number}.yaml" for number in count(2))
