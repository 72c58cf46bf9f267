"""Frozen dataclasses as plain data, and back.

Pydantic does this too, but importing it and making its schemas takes 75 ms in every session and every worker.
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
    """Dicts, lists, strings and numbers, all the way down."""
    if is_dataclass(value):
        return {field.name: dump(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, list | tuple):
        return [dump(entry) for entry in value]
    if isinstance(value, dict):
        return {key: dump(entry) for key, entry in value.items()}
    return value.value if isinstance(value, StrEnum) else value


def load(kind: type[T], data: object) -> T:
    """Read what `dump` returned for an instance of `kind`. Fields that it does not have are ignored.

    Raises:
        ValueError: a field is missing or has another type.
    """
    known: Any = kind
    record: T = _reader(known)(data)
    return record


@cache
def _reader(kind: Any) -> Reader:
    """The function that reads values of a type: a dataclass, or one of those that the fields of records have."""
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _read_fields(kind)
    if origin in {Union, UnionType}:
        none_first = sorted(arguments, key=lambda kind: kind is not NoneType)  # the last one says what is wrong
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
            raise ValueError(f"{len(data)} entries, and not {len(readers)}")
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
            raise ValueError(f"{data!r:.80} is none of {values}")
        return data

    return read


def _read_plain(kind: type[Any]) -> Reader:
    """Numbers of another type are read if their value stays the same, and those in text: 2.0, True and "2" for an int.

    Pydantic reads these too, and adapters of projects rely on it.
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
        raise ValueError(f"{data!r:.80} is not of type {kind.__name__}")  # noqa: TRY004 - as for any other wrong data
