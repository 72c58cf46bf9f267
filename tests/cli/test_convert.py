"""`gump convert`: a workflow of Gump 0.0.4 in the current form."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from pytest_gump.workflow.find import MAX_BYTES

if TYPE_CHECKING:
    import pytest

    from .conftest import Gump

OLD = """\
name: old
steps:
  - name: impl
    type: code
    get: {prompt: {file: prompts/impl.md}}
    run: {agent: claude-haiku}
    gate: [test]
    retry: [{exit: 2}]
"""


def test_a_file_is_printed_in_the_present_form(gump: Gump) -> None:
    gump.project.write({"old.yaml": OLD, "prompts/impl.md": "Do {spec}\nin {language}\n"})
    assert gump.good("convert", "old.yaml") == (
        "# Converted from Gump 0.0.4 by 'gump convert'.\n"
        "name: old\ninputs: {language: {}}\nsteps:\n  - name: impl\n    agent: claude-haiku\n"
        "    # from prompts/impl.md\n    prompt: |\n      Do {spec}\n      in {language}\n"
        "    gate: [test]\n    on_failure: {retry: 2}\n"
    )


def test_a_file_can_come_from_a_pipe(gump: Gump, monkeypatch: pytest.MonkeyPatch) -> None:
    def pipe(content: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))

    gump.project.write({"old.yaml": OLD, "prompts/impl.md": "Do {spec}\n"})
    pipe(OLD.replace("\n", "\r\n").encode())
    assert gump.good("convert", "-") == gump.good("convert", "old.yaml")
    pipe(OLD.replace("type: code", "type: cod").encode())
    assert gump.bad("convert", "-").startswith("gump: error: <stdin>:4:11: ")
    pipe(b"name: \xff\n")
    assert "<stdin> is not UTF-8 text (byte 6)" in gump.bad("convert", "-", code=2)
    pipe(b"#" * (MAX_BYTES + 1))
    assert "<stdin> has more than 4194304 bytes" in gump.bad("convert", "-", code=2)


def test_a_mistake_in_a_prompt_file_has_its_position_there(gump: Gump) -> None:
    gump.project.write({"old.yaml": OLD, "prompts/impl.md": "Do\nwhat {plan.output} says\n"})
    assert "prompts/impl.md:2:6: {plan.output} names 'plan', which does not exist" in gump.bad("convert", "old.yaml")


def test_a_file_in_the_present_form_needs_no_conversion(gump: Gump) -> None:
    assert gump.bad("convert", ".gump/workflows/pair.yaml", code=2) == (
        "gump: error: '.gump/workflows/pair.yaml' is already in the current form\n  hint: it needs no conversion\n"
    )


def test_a_file_that_does_not_exist_is_refused(gump: Gump) -> None:
    assert "workflow file 'none.yaml' does not exist" in gump.bad("convert", "none.yaml", code=2)


def test_a_workflow_of_gump_0_0_4_runs(gump: Gump) -> None:
    gump.project.workflow(
        "old", OLD.replace("{file: prompts/impl.md}", '"Do {spec}"').replace("[test]", '["touched: *.py"]')
    )
    gump.project.answer("impl", writes={"notes.txt": "hm\n"})
    gump.project.answer("impl", attempt=2, writes={"impl.py": "x = 1\n"})
    gump.project.run("old").assert_outcomes(passed=1)
