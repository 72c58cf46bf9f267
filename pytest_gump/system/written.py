"""Forms in which a text can appear in the output of programs, to find and mask secrets.

These forms are found:

* the plain text
* with JSON, XML, URL or backslash escapes, in any mix, including JSON within JSON
* as hexadecimal digits
* as base64 or base64url, at any of the three alignments, with or without line breaks

Reversed, spaced out or compressed text is not found.
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Text = TypeVar("Text", str, bytes)

_SLASH: Final = r"\\"
_MORE: Final = r"\\{0,7}"
_SLASHES: Final = _SLASH + _MORE
"""The backslashes of one escape. Every level of JSON within JSON doubles them."""
_BREAK: Final = r"(?:\\{1,8}[rn]|\r?\n[+ -]?)*"
"""A line break in base64 text: in a file, a JSON string or a patch."""
_SHORT: Final = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_XML: Final = {"&": "amp;", "<": "lt;", ">": "gt;", '"': "quot;", "'": "apos;"}
_LONGEST_CHARACTER: Final = 4 * 12
"""Most bytes of one escaped character."""


class Span(NamedTuple):
    start: int
    end: int
    length: int
    """Number of characters without escapes. For hexadecimal digits, base64 and merged spans: the length of the span."""


class Written:
    """Finds one text in all its forms."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.longest = _LONGEST_CHARACTER * len(text)
        data = text.encode("utf-8", "surrogateescape")
        self._patterns = [(_compiled(pattern), False) for pattern in _escaped(text)]
        self._patterns += [(_compiled(pattern), True) for pattern in (_hexadecimal(data), *_base64(data))]

    def spans(self, text: str | bytes) -> Iterator[Span]:
        """Yield all spans that contain the text in one of its forms. They may overlap."""
        if len(text) < len(self.text):  # no form is shorter
            return
        for (in_bytes, in_text), is_encoded in self._patterns:
            found = in_text.finditer(text) if isinstance(text, str) else in_bytes.finditer(text)
            for match in found:
                start, end = match.span()
                yield Span(start, end, end - start if is_encoded else len(self.text))

    def is_in(self, text: str | bytes) -> bool:
        return next(self.spans(text), None) is not None


@lru_cache(maxsize=256)
def written(text: str) -> Written:
    return Written(text)


def _compiled(pattern: str) -> tuple[re.Pattern[bytes], re.Pattern[str]]:
    return re.compile(pattern.encode("utf-8", "surrogateescape")), re.compile(pattern)


def _escaped(text: str) -> Iterator[str]:
    """Yield two patterns: for a plain and for an escaped first character.

    Each pattern starts with one of few bytes, which makes the search fast.
    """
    rest = "".join(
        f"(?:{re.escape(char)}|{'|'.join(lead + tail for lead, tail in _escapes(char))})" for char in text[1:]
    )
    yield re.escape(text[0]) + rest
    yield rf"[\\%&](?:{'|'.join(f'(?<={lead}){tail}' for lead, tail in _escapes(text[0]))}){rest}"


def _escapes(char: str) -> Iterator[tuple[str, str]]:
    """Yield each way to escape a character as two patterns: the first byte and the rest."""
    data = char.encode("utf-8", "surrogateescape")
    yield "%", "%".join(_digits(f"{byte:02x}") for byte in data)
    yield "&", f"#(?:0*{ord(char)}|[xX]0*{_digits(f'{ord(char):x}')});"
    yield _SLASH, _MORE + f"{_SLASHES}".join(f"u{_digits(unit)}" for unit in _utf16(char))
    yield _SLASH, _MORE + f"{_SLASHES}".join(f"x{_digits(f'{byte:02x}')}" for byte in data)
    if char in _XML:
        yield "&", _XML[char]
    if char in _SHORT:
        yield _SLASH, _MORE + _SHORT[char]
    elif char in '"/\\':
        yield _SLASH, _MORE + re.escape(char)


def _utf16(char: str) -> list[str]:
    data = char.encode("utf-16-be", "surrogatepass").hex()
    return [data[at : at + 4] for at in range(0, len(data), 4)]


def _digits(text: str) -> str:
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in text)


def _hexadecimal(data: bytes) -> str:
    return _digits(data.hex())


def _base64(data: bytes) -> Iterator[str]:
    """Yield a pattern for each alignment, with the base64 characters that depend only on the text."""
    for shift, unknown in ((0, 0), (1, 2), (2, 3)):
        digits = base64.b64encode(b"\0" * shift + data).decode()[unknown : (shift + len(data)) * 8 // 6]
        yield _BREAK.join(_BASE64URL.get(digit, digit) for digit in digits)


_BASE64URL: Final = {"+": "[+-]", "/": r"(?:\\{1,8}/|[/_])"}


def masked(text: Text, spans: Iterable[Span], cut: int, mask: Callable[[Span], Text]) -> tuple[list[Text], int]:
    """Mask the spans that start before `cut`.

    Overlapping spans are merged, so that no part of a secret that contains another one remains.

    Returns:
        The masked parts of the text up to the end of the last masked span, and that position.
    """
    parts: list[Text] = []
    end = 0
    for span in _merged(spans):
        if span.start >= cut:
            break
        parts += [text[end : span.start], mask(span)]
        end = span.end
    return parts, end


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    last: Span | None = None
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if last is None or span.start >= last.end:
            if last is not None:
                yield last
            last = span
        elif span.end > last.end:
            last = Span(last.start, span.end, span.end - last.start)
    if last is not None:
        yield last
