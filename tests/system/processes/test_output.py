from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pytest_gump.system.processes.output import LineSplitter, bounded_output
from pytest_gump.text import clean_text

if TYPE_CHECKING:
    from pathlib import Path


def test_short_output_is_returned_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes("größe\n".encode() + b"\xff\n")
    assert bounded_output(path, 100) == "größe\n\ufffd\n"


@pytest.mark.parametrize("count", [200, 20_000])
def test_long_output_keeps_head_and_tail_and_counts_the_rest(tmp_path: Path, count: int) -> None:
    path = tmp_path / "out"
    path.write_text("".join(f"line {number}\n" for number in range(count)))
    text = bounded_output(path, 400)
    lines = text.splitlines()
    marker = next(index for index, line in enumerate(lines) if line.startswith("..."))
    assert lines[0] == "line 0"
    assert lines[-1] == f"line {count - 1}"
    assert lines[marker] == f"... {count - (len(lines) - 1)} lines left out ..."
    assert len(text) <= 400 + len(lines[marker]) + 2


def test_long_line_is_cut_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("a" * 50_000 + "z" * 50_000)
    text = bounded_output(path, 300)
    assert text.startswith("aaa")
    assert text.endswith("zzz")
    assert "... the middle of a long line left out ..." in text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\tb\nc\x00\x07\x7f", "a\tb\nc"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("10%\r50%\r100%\ndone", "100%\ndone"),
        ("::error file=x::boom", ": :error file=x::boom"),
        ("  ::stop-commands::x", "  : :stop-commands::x"),
        ("ok\n::set-output name=x::y", "ok\n: :set-output name=x::y"),
        ("\x1b[1m::error::x", ": :error::x"),
        ("##vso[task.setvariable]x ##[error]", "# #vso[task.setvariable]x # #[error]"),
        ("a::b std::vector", "a::b std::vector"),
        ("\u202eevil\udc80", "evil\ufffd"),
    ],
)
def test_foreign_text_is_made_safe_to_print(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


def test_splitter_joins_chunks_and_reports_oversized_lines() -> None:
    lines: list[bytes] = []
    sizes: list[int] = []
    splitter = LineSplitter(lines.append, sizes.append, max_bytes=5)
    for chunk in (b"ab", b"c\nde", b"fghi", b"j\nk", b""):
        assert splitter.feed(chunk) is None
    splitter.finish()
    assert lines == [b"abc", b"k"]
    assert sizes == [7]


def test_splitter_returns_the_reason_to_stop() -> None:
    splitter = LineSplitter(lambda line: line.decode() or None)
    assert splitter.feed(b"\nwhy") is None
    assert splitter.feed(b" not\n\n") == "why not"


def test_splitter_returns_the_first_reason_and_passes_on_later_lines() -> None:
    lines: list[bytes] = []

    def on_line(line: bytes) -> str | None:
        lines.append(line)
        return line.decode() or None

    assert LineSplitter(on_line).feed(b"\nfirst\n\nsecond\n") == "first"
    assert lines == [b"", b"first", b"", b"second"]
