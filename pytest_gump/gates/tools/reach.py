"""Finds code that could affect the test run that checks it. Findings are reported; they do not fail a step."""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MODULES: Final = frozenset({"atexit", "gc", "pytest", "_pytest", "pluggy"})
_MOCK: Final = "unittest.mock"
"""Its `ANY` and its mocks compare equal to everything."""
_ATTRIBUTES: Final = {
    "_exit": "os._exit",
    "_getframe": "sys._getframe",
    "_current_frames": "sys._current_frames",
    "currentframe": "inspect.currentframe",
    "getouterframes": "inspect.getouterframes",
    "f_back": "f_back",
    "tb_frame": "tb_frame",
    "f_locals": "f_locals",
    "f_globals": "f_globals",
    "get_objects": "gc.get_objects",
    "get_referrers": "gc.get_referrers",
    "settrace": "sys.settrace",
    "setprofile": "sys.setprofile",
    "meta_path": "sys.meta_path",
    "path_hooks": "sys.path_hooks",
}
_REPLACED: Final = frozenset({"exit", "modules"})
"""Attributes of `sys` that product code has no reason to assign to."""
_COMPARISONS: Final = frozenset({"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__contains__"})
_ABOUT_PYTEST: Final = ("_pytest", "PYTEST_", "pytest")


def new_reach(source: bytes, read_base: Callable[[], bytes | None]) -> list[str]:
    """Return uses that `source` has more often than the base: `os._exit`, or an `__eq__` that ignores its argument.

    Empty if `source` does not parse.
    """
    uses = Counter(_uses(source))
    return sorted(uses - Counter(_uses(read_base() or b""))) if uses else []


def _uses(source: bytes) -> list[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [use for node in ast.walk(tree) for use in _use(node)]


def _use(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (f"import {alias.name}" for alias in names if _reaches(alias.name))
        case ast.ImportFrom(module=str(module), names=names):
            if _reaches(module):
                yield f"import {module}"
            yield from (f"import {module}.{alias.name}" for alias in names if f"{module}.{alias.name}" == _MOCK)
            yield from (_ATTRIBUTES[alias.name] for alias in names if alias.name in _ATTRIBUTES)
        case ast.Attribute(attr=name) if name in _ATTRIBUTES:
            yield _ATTRIBUTES[name]
        case ast.Assign(targets=targets):
            yield from _replaced(targets)
        case ast.Call(func=ast.Name(id="getattr"), args=[ast.Name(id=("os" | "sys") as name), attribute, *_]):
            if not isinstance(attribute, ast.Constant):
                yield f"getattr({name}, ...)"
        case ast.Constant(value=str(text)) if text in _COMPARISONS:
            yield f"{text} by name"
        case ast.Constant(value=str(text)) if text.startswith(_ABOUT_PYTEST) and " " not in text:
            yield f"{text[:40]!r}"
        case ast.FunctionDef(name=name) if name in _COMPARISONS and _ignores_arguments(node):
            yield f"{name} that ignores its argument"


def _replaced(targets: list[ast.expr]) -> Iterator[str]:
    for target in targets:
        inner = target.value if isinstance(target, ast.Subscript) else target
        match inner:
            case ast.Attribute(value=ast.Name(id="sys"), attr=name) if name in _REPLACED:
                yield f"sys.{name} assigned"
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in _COMPARISONS:
                yield f"{name} assigned"


def _reaches(module: str) -> bool:
    return module.partition(".")[0] in _MODULES or module == _MOCK


def _ignores_arguments(function: ast.FunctionDef) -> bool:
    """True if it returns an answer without reading its arguments. False and NotImplemented are not answers."""
    others = {argument.arg for argument in function.args.args[1:]}
    used = {node.id for part in function.body for node in ast.walk(part) if isinstance(node, ast.Name)}
    returned = [node.value for part in function.body for node in ast.walk(part) if isinstance(node, ast.Return)]
    return not others & used and any(value is not None and not _is_no_answer(value) for value in returned)


def _is_no_answer(value: ast.expr) -> bool:
    match value:
        case ast.Constant(value=False | None) | ast.Name(id="NotImplemented"):
            return True
    return False
