from __future__ import annotations

import pytest
from pytest_gump.workflow.former.comments import Comment, read_comments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\n", []),
        ("# a\n#b\n\na: 1  # c\n## d", [(4, "a"), (4, "b"), (4, "c"), (6, "d")]),
        ('a: \'# no\'\nb: x#no\nc: |\n  # no\nd: "\\" # no"\n', []),
        ("a: é # one\nb: [1, # two\n  2]\n", [(1, "one"), (2, "two")]),
        ("a:\n  # x\n  - b\n", [(3, "x")]),
        ("a: [\n\t1] # tab\n", [(2, "tab")]),
    ],
)
def test_comments_have_the_line_of_what_they_are_about(text: str, expected: list[tuple[int, str]]) -> None:
    assert read_comments(text) == [Comment(*comment) for comment in expected]
