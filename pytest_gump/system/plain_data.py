"""Converts frozen dataclasses to plain data and back.

Pydantic can do this too, but importing it and building its schemas takes 75 ms in every session and every worker.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable

    Reader = Callable[[Any], Any]

T = TypeVar("T")


def dump(value: Any) -> Any:
    """Return a value as nested dicts, lists, strings and numbers."""
    if is_dataclass(value):
        return {field.name: dump(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, list | tuple):
        return [dump(entry) for entry in value]
    if isinstance(value, dict):
        return {key: dump(entry) for key, entry in value.items()}
    return value.value if isinstance(value, StrEnum) else value


def load(kind: type[T], data: object) -> T:
    """Create an instance of `kind` from the data that `dump` returned. Unknown fields are ignored.

    Raises:
        ValueError: A field is missing or has another type.
    """
    known: Any = kind
    record: T = _reader(known)(data)
    return record


@cache
def _reader(kind: Any) -> Reader:
    """Return a function that reads values of a dataclass, or of another type that its fields may have."""
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _read_fields(kind)
    if origin in {Union, UnionType}:
        none_first = sorted(arguments, key=lambda kind: kind is not NoneType)  # the error of the last one is raised
        return _read_first(tuple(map(_reader, none_first)))
    if origin is tuple:
        return _read_tuple(arguments)
    if origin is dict:
        return _read_dict(_reader(arguments[1]))
    if origin is Literal:
        return _read_literal(arguments)
    return kind if issubclass(kind, StrEnum) else _read_plain(kind)


def _read_fields(kind: Any) -> Reader:
    hints = get_type_hints(kind)
    readers = [(field.name, _reader(hints[field.name])) for field in fields(kind)]
    needed = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}

    def read(data: Any) -> Any:
        _expect(dict, data)
        if missing := needed - data.keys():
            raise ValueError(f"{kind.__name__}: {', '.join(sorted(missing))} missing")
        return kind(**{name: _read_field(name, reader, data[name]) for name, reader in readers if name in data})

    return read


def _read_field(name: str, reader: Reader, data: Any) -> Any:
    try:
        return reader(data)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _read_first(readers: tuple[Reader, ...]) -> Reader:
    def read(data: Any) -> Any:
        for reader in readers[:-1]:
            try:
                return reader(data)
            except ValueError:
                continue
        return readers[-1](data)

    return read


def _read_tuple(kinds: tuple[Any, ...]) -> Reader:
    readers = [_reader(kind) for kind in kinds if kind is not Ellipsis]

    def read_any(data: Any) -> Any:
        _expect(list, data)
        return tuple(map(readers[0], data))

    def read(data: Any) -> Any:
        _expect(list, data)
        if len(data) != len(readers):
            raise ValueError(f"{len(data)} entries instead of {len(readers)}")
        return tuple(reader(entry) for reader, entry in zip(readers, data, strict=True))

    return read_any if Ellipsis in kinds else read


def _read_dict(reader: Reader) -> Reader:
    def read(data: Any) -> Any:
        _expect(dict, data)
        return {key: reader(value) for key, value in data.items()}

    return read


def _read_literal(values: tuple[Any, ...]) -> Reader:
    def read(data: Any) -> Any:
        if data not in values:
            raise ValueError(f"{data!r:.80} is not one of {values}")
        return data

    return read


def _read_plain(kind: type[Any]) -> Reader:
    """Return a reader that converts values of another type if they stay equal, and numbers in strings.

    For an int, it accepts 2.0, True and "2". Pydantic does too, and adapters of projects rely on it.
    """
    is_number = kind is int or kind is float

    def read(data: Any) -> Any:
        if type(data) is kind:
            return data
        with suppress(TypeError, ValueError, OverflowError):
            value = kind(data)
            if value == data or (is_number and isinstance(data, str)):
                return value
        raise ValueError(f"{data!r:.80} is not of type {kind.__name__}")

    return read


def _expect(kind: type[Any], data: object) -> None:
    if not isinstance(data, kind):
        raise ValueError(f"{data!r:.80} is not of type {kind.__name__}")  # noqa: TRY004 - `load` raises only ValueError
