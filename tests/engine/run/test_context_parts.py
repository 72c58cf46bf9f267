"""The context entries of an order."""

from __future__ import annotations

from pytest_gump.engine.run.context_parts import context_key, context_parts
from pytest_gump.order import ContextPart
from pytest_gump.workflow.model import ContextEntry

ENTRIES = (
    ContextEntry(file="docs/{item.name}.md"),
    ContextEntry(bash="echo {item.name}"),
    ContextEntry(workflow="look", call="impl--context-look"),
)


def test_files_and_outputs_are_filled_in_and_commands_are_not() -> None:
    filled = {"docs/{item.name}.md": "docs/a.md", "{steps.impl--context-look.output}": "three layers", "": ""}
    assert context_parts(ENTRIES, filled.__getitem__) == (
        ContextPart(file="docs/a.md"),
        ContextPart(bash="echo {item.name}"),
        ContextPart(workflow="look", text="three layers"),
    )


def test_file_whose_name_is_empty_stays_a_file() -> None:
    (part,) = context_parts(ENTRIES[:1], lambda _: "")
    assert part == ContextPart(file="")


def test_key_of_files_and_commands_is_that_of_earlier_versions() -> None:
    assert context_key(ENTRIES) == [("docs/{item.name}.md", None), (None, "echo {item.name}"), (None, None, "look")]
