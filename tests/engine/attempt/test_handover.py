from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_gump.engine.attempt.handover import Handover, read_handover
from pytest_gump.errors import WorktreeError
from pytest_gump.order import PlanItem, Verdict

if TYPE_CHECKING:
    from pytest_gump.order import Mode

PLAN = json.dumps([{"name": "First part", "description": "do it", "files": ["src/"]}]).encode()


def test_a_plan_may_be_empty_if_the_step_allows_it() -> None:
    files = {"plan.json": b"[]"}
    assert read_handover(files.get, "plan", message="", max_items=3, min_items=0).plan == ()
    assert read("plan", files).errors == ("the plan is empty: it needs at least one item",)


def read(mode: Mode, files: dict[str, bytes], *, message: str = "", max_items: int = 100) -> Handover:
    return read_handover(files.get, mode, message=message, max_items=max_items)


def test_diff_step_has_no_output_file() -> None:
    assert read("diff", {"plan.json": b"["}) == Handover()


def test_plan_is_read_as_items_with_slugs() -> None:
    handover = read("plan", {"plan.json": PLAN})
    assert handover.plan == (PlanItem("First part", "first-part", "do it", ("src/",)),)
    assert handover.payload == handover.plan
    assert not handover.errors


def test_errors_of_an_invalid_plan_are_described() -> None:
    handover = read("plan", {"plan.json": b'[{"description": "x"}]'})
    assert handover.plan is None
    assert handover.errors == ("item 1 has no 'name'",)


def test_plan_with_too_many_items_is_an_error() -> None:
    plan = json.dumps([{"name": f"n{n}", "description": "d"} for n in range(4)]).encode()
    assert "at most 3" in read("plan", {"plan.json": plan}, max_items=3).errors[0]


def test_missing_plan_is_read_from_the_message_and_noted() -> None:
    handover = read("plan", {}, message=f"Here it is:\n```json\n{PLAN.decode()}\n```\n")
    assert handover.plan is not None
    assert handover.notes == ("plan.json was missing: taken from the final message",)


def test_plan_in_neither_file_nor_message_is_an_error() -> None:
    handover = read("plan", {}, message="I wrote the plan.")
    assert handover.errors == (
        "no .gump/out/plan.json was written, and the final message holds no block fenced as json",
    )


def test_file_takes_precedence_over_the_message() -> None:
    handover = read("review", {"review.json": b'{"pass": true}'}, message='```json\n{"pass": false}\n```')
    assert handover.verdict == Verdict(passed=True)


def test_failing_verdict_needs_a_comment() -> None:
    assert read("review", {"review.json": b'{"pass": false, "comment": "line 3"}'}).verdict == Verdict(
        passed=False, comment="line 3"
    )
    assert "must say what is wrong" in read("review", {"review.json": b'{"pass": false}'}).errors[0]


def test_artifact_is_text_and_may_be_empty() -> None:
    assert read("artifact", {"artifact.txt": "grün\n".encode()}).artifact == "grün\n"
    assert read("artifact", {"artifact.txt": b""}).payload == ""
    assert read("artifact", {"artifact.txt": b"\xff"}).errors == ("artifact.txt is not UTF-8 text (byte 0)",)
    assert read("artifact", {}, message="```json\n{}\n```").errors == ("no .gump/out/artifact.txt was written",)


def test_special_file_is_an_error() -> None:
    def odd(name: str) -> bytes | None:
        raise WorktreeError(f".gump/out/{name} is a symbolic link", hint="write a plain file")

    handover = read_handover(odd, "plan", message="", max_items=3)
    assert handover.errors == (".gump/out/plan.json is a symbolic link",)
