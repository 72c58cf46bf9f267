"""Step paths: they identify the steps of a run, with the same text in node ids, ledger, options and output."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REPLAN = "--replan"
"""Suffix of a replan's group, after the name of its step. Declared names do not contain `--`."""
VALIDATE = "--validate-"
"""What separates the name of a step from that of its validator, in the name of the validator's group."""
CONTEXT = "--context-"
"""What separates the name of a step from that of a workflow for its context, in the name of the call."""

_MOST_CHARS = 120
_PATH = re.compile(r"(?P<names>[^\[\]]+)(?:\[(?P<items>[^\[\]]+)\])?")


@dataclass(frozen=True, slots=True, order=True)
class StepPath:
    """`build::impl[item-2--sub-1]`: the names from the root to the step, and the slugs of its enclosing plan items."""

    names: tuple[str, ...]
    items: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> StepPath:
        """Parse the text form of a path.

        Raises:
            ValueError: The text is not a step path.
        """
        match = _PATH.fullmatch(text)
        if match is None:
            raise ValueError(f"not a step path: {text!r}")
        items = match["items"]
        return cls(tuple(match["names"].split("::")), tuple(items.split("--")) if items else ())

    @property
    def name(self) -> str:
        """The step's own name."""
        return self.names[-1]

    @property
    def static(self) -> str:
        """The path as declared in the workflow, without plan items: `build::impl`."""
        return "::".join(self.names)

    @property
    def leaf(self) -> str:
        """The last part with the plan items, as in a node id: `impl[item-2]`."""
        return f"{self.name}[{'--'.join(self.items)}]" if self.items else self.name

    @property
    def folder(self) -> str:
        """The path as a file name: `build-impl-item-2`. See `shortened`."""
        return shortened("-".join((*self.names, *self.items)))

    @property
    def outer(self) -> StepPath:
        """The same path without the innermost plan item."""
        return StepPath(self.names, self.items[:-1])

    def contains(self, step: StepPath) -> bool:
        """True if this is the path of the step, of one of its groups, or of the step of which it is a part."""
        depth = len(self.names)
        if len(step.names) < depth or step.names[: depth - 1] != self.names[:-1]:
            return False
        is_named = not depth or self.name in _scopes(step.names[depth - 1])
        return is_named and step.items[: len(self.items)] == self.items

    @property
    def scopes(self) -> Iterator[StepPath]:
        """All paths that contain this one, itself included."""
        for depth, name in enumerate(self.names, 1):
            for scope in _scopes(name):
                for count in range(len(self.items) + 1):
                    yield StepPath((*self.names[: depth - 1], scope), self.items[:count])

    @property
    def validator(self) -> StepPath | None:
        """The path of the validator that contains the step, without plan items of its own; None outside of one."""
        depth = next((depth for depth, name in enumerate(self.names, 1) if VALIDATE in name), None)
        return None if depth is None else StepPath(self.names[:depth], self.items)

    @property
    def checked(self) -> StepPath | None:
        """The step whose attempt is checked by the validator that contains the step; None outside of one."""
        found = self.validator
        return None if found is None else StepPath((*found.names[:-1], declared(found.name)), self.items)

    def child(self, name: str) -> StepPath:
        return StepPath((*self.names, name), self.items)

    def item(self, slug: str) -> StepPath:
        return StepPath(self.names, (*self.items, slug))

    def __str__(self) -> str:
        return "::".join((*self.names[:-1], self.leaf))


def shortened(name: str) -> str:
    """Return an ASCII name that fits into a file name with a prefix. A long name is cut, and ends with its hash."""
    if len(name) <= _MOST_CHARS:
        return name
    import hashlib  # few names are that long

    return f"{name[: _MOST_CHARS - 13]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def declared(name: str) -> str:
    """Return the name of the step that a name belongs to: `impl` for `impl--replan` and `impl--validate-review`."""
    return name.partition("--")[0]


def _scopes(name: str) -> dict[str, None]:
    """Return the names of the groups that a name stands for: its step, and the validator if it is one."""
    return dict.fromkeys((declared(name), name.removesuffix(REPLAN)))


def slugify(name: str, index: int) -> str:
    """Return a form of a plan item's name that is valid in node ids, branches and file names.

    It has lower-case ASCII letters, digits and single dashes, at most 40 characters. A name without any of these
    becomes `item-N` (`index` is 1-based).
    """
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower())[:40].strip("-")
    return slug or f"item-{index}"
