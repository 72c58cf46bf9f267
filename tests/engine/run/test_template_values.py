"""Values of a run in templates: the attempts that a reference means, and the form of their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pytest_gump.agents.base import SessionRef
from pytest_gump.agents.usage import Tokens, Usage
from pytest_gump.engine.record.records import AttemptRecord, RunRecord, StepRecord
from pytest_gump.engine.run.template_values import TemplateValues, newest_path
from pytest_gump.gates.base import GateResult
from pytest_gump.order import AttemptResult, Outcome, PlanItem, Timings, Verdict
from pytest_gump.system.git.changes import ChangedFile
from pytest_gump.workflow.path import StepPath
from pytest_gump.workflow.template import RUN_FIELDS, STATE_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable

USAGE = Usage(Tokens(input=30, output=12, cache_read=5), 0.125, "reported", 3)


def attempt(step: str, number: int = 1, decided: str = "passed", *, mode: str = "diff", **result: Any) -> AttemptRecord:
    """Return an attempt that ended after 2.6 seconds."""
    made = AttemptRecord(number, step, number, mode, "haiku", "first", 0.0, verdict=decided)
    made.usage, made.duration_s = USAGE, 2.6
    made.set_result(AttemptResult(step, number, Outcome.PASSED, "", "haiku", Timings(0.0, 2.6), usage=USAGE, **result))
    return made


def running(step: str, number: int) -> AttemptRecord:
    return AttemptRecord(number, step, number, "diff", "haiku", "same", 0.0)


def record_of(attempts: Iterable[AttemptRecord]) -> RunRecord:
    record = RunRecord(run_id="r1", workflow="tdd", spec="spec.md", started=100.0, last_at=161.4)
    for one in attempts:
        record.attempts.append(one)
        record.steps.setdefault(one.step, StepRecord(one.step, one.mode)).attempts.append(one)
    return record


def value(static: str, field: str, *attempts: AttemptRecord, asker: str = "end", foreach: Iterable[str] = ()) -> str:
    values = TemplateValues(
        record_of(attempts), dict.fromkeys(foreach, "split"), lambda one: f"diff of {one.step} {one.number}"
    )
    return values.step(static, field, StepPath.parse(asker))


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("output", "diff of a 2"),
        ("files", "src/a.py, b.py"),
        ("status", "passed"),
        ("session_id", "s-1"),
        ("agent", "haiku"),
        ("cost", "0.2500"),
        ("turns", "6"),
        ("duration", "5"),
        ("retries", "1"),
        ("tokens_in", "70"),
        ("tokens_out", "24"),
    ],
)
def test_field_of_a_step_is_from_its_newest_attempt_and_figures_are_sums(field: str, written: str) -> None:
    changed = (ChangedFile("src/a.py", "modified"), ChangedFile("b.py", "added"))
    newest = attempt("a", 2, changed=changed, session=SessionRef("s-1", "claude", "w1"))
    assert value("a", field, attempt("a", 1, "retried"), newest) == written


def test_every_field_of_the_language_has_a_value() -> None:
    values = TemplateValues(record_of([attempt("a")]), {}, lambda _: "diff")
    assert all(isinstance(values.step("a", field, StepPath(("end",))), str) for field in STATE_FIELDS)
    assert all(isinstance(values.run(field), str) for field in RUN_FIELDS)


@pytest.mark.parametrize("field", STATE_FIELDS)
def test_step_without_a_result_has_empty_fields(field: str) -> None:
    assert value("a", field) == ""
    assert value("a", field, running("a", 1)) == ""


def test_fields_that_were_not_recorded_are_empty() -> None:
    made = attempt("a")
    made.set_result(AttemptResult("a", 1, Outcome.PASSED, "", None, Timings(0.0, 1.0)))
    assert [value("a", field, made) for field in ("session_id", "agent", "files")] == ["", "", ""]


def test_running_and_superseded_attempts_are_left_out() -> None:
    stale = attempt("a", 2)
    stale.superseded = True
    assert value("a", "output", attempt("a", 1), stale, running("a", 3)) == "diff of a 1"


def test_repeats_after_a_usage_limit_are_not_retries() -> None:
    attempts = [attempt("a", 1, "waited"), attempt("a", 2, "failover"), attempt("a", 3, "retried"), attempt("a", 4)]
    assert value("a", "retries", *attempts) == "1"


@pytest.mark.parametrize(
    ("verdict", "status"),
    [("passed", "passed"), ("failed", "failed"), ("retried", "running"), ("again", "running"), ("", "running")],
)
def test_status_is_from_the_newest_attempt(verdict: str, status: str) -> None:
    assert value("a", "status", attempt("a", 1, "failed"), attempt("a", 2, verdict)) == status


def test_status_is_running_while_the_next_attempt_runs() -> None:
    assert value("a", "status", attempt("a", 1, "failed"), running("a", 2)) == "running"


PLAN = (PlanItem("Über uns", "uber-uns", "Add the page", ("about.py", "docs/")), PlanItem("B", "b"))
PLAN_TEXT = """\
[
  {
    "name": "Über uns",
    "description": "Add the page",
    "files": [
      "about.py",
      "docs/"
    ]
  },
  {
    "name": "B",
    "description": "",
    "files": []
  }
]"""
VERDICT_TEXT = """\
{
  "pass": false,
  "comment": "naïve"
}"""


@pytest.mark.parametrize(
    ("result", "output"),
    [
        ({"plan": PLAN, "artifact": "text"}, PLAN_TEXT),
        ({"plan": ()}, "[]"),
        ({"verdict": Verdict(passed=False, comment="naïve"), "mode": "review"}, VERDICT_TEXT),
        ({"verdict": Verdict(passed=False, comment="naïve"), "mode": "approve"}, VERDICT_TEXT),
        ({"verdict": Verdict(passed=False, comment="rejected by a person")}, "diff of a 1"),
        ({"verdict": Verdict(passed=False, comment="rejected by a person"), "artifact": "the text"}, "the text"),
        ({"artifact": "the text"}, "the text"),
        ({"artifact": ""}, ""),
        ({}, "diff of a 1"),
    ],
)
def test_output_depends_on_the_mode_of_the_step(result: dict[str, Any], output: str) -> None:
    assert value("a", "output", attempt("a", **result)) == output


ITEMS = [attempt(f"build::{name}[{item}]") for item in ("x", "y") for name in ("tests", "impl")]


@pytest.mark.parametrize(
    ("static", "asker", "meant"),
    [
        ("build::tests", "build::impl[y]", ["build::tests[y]"]),
        ("build::tests", "build::impl[x]", ["build::tests[x]"]),
        ("build::tests", "end", ["build::tests[x]", "build::tests[y]"]),
        ("build::impl", "other::impl[x]", ["build::impl[x]", "build::impl[y]"]),
        ("tests", "end", []),
        ("build", "end", []),
    ],
)
def test_reference_in_the_same_foreach_means_the_same_item_and_elsewhere_all_items(
    static: str, asker: str, meant: list[str]
) -> None:
    found = value(static, "output", *ITEMS, asker=asker, foreach=["build", "other"])
    assert found == "\n\n".join(f"diff of {path} 1" for path in meant)


@pytest.mark.parametrize(
    ("asker", "meant"),
    [
        ("build::parts::b[x--one]", ["x--one"]),
        ("build::after[x]", ["x--one", "x--two"]),
        ("end", ["x--one", "x--two", "y--one"]),
    ],
)
def test_reference_in_a_nested_foreach_is_limited_to_shared_items(asker: str, meant: list[str]) -> None:
    attempts = [attempt(f"build::parts::a[{items}]") for items in ("x--one", "x--two", "y--one")]
    found = value("build::parts::a", "output", *attempts, asker=asker, foreach=["build", "build::parts"])
    assert found == "\n\n".join(f"diff of build::parts::a[{items}] 1" for items in meant)


def test_items_are_in_plan_order_although_parallel_items_begin_in_any_order() -> None:
    plan = tuple(PlanItem(slug, slug, depends_on=needs) for slug, needs in (("x", ("y",)), ("y", ()), ("z", ())))
    inner = {item: tuple(PlanItem(slug, slug) for slug in slugs) for item, slugs in {"x": "ab", "y": "ba"}.items()}
    attempts = [
        attempt("split", plan=plan),
        *(attempt(f"build::split[{item}]", plan=items) for item, items in inner.items()),
        *(attempt(f"build::parts::a[{items}]") for items in ("z", "x--b", "y--a", "x--a", "y--b")),
    ]
    values = TemplateValues(
        record_of(attempts), {"build": "split", "build::parts": "build::split"}, lambda one: one.step
    )
    found = values.step("build::parts::a", "output", StepPath.parse("end"))
    assert found.split() == [f"build::parts::a[{items}]" for items in ("y--b", "y--a", "x--a", "x--b", "z")]


def test_group_without_foreach_does_not_limit_a_reference() -> None:
    attempts = [attempt("g::parts::a[x]"), attempt("g::parts::a[y]")]
    assert value("g::parts::a", "agent", *attempts, asker="g::b", foreach=["g::parts"]) == "haiku, haiku"
    assert value("g::parts::a", "agent", *attempts, asker="g::parts::b[y]", foreach=["g::parts"]) == "haiku"


def test_empty_values_add_no_separator() -> None:
    empty = attempt("build::impl[y]", artifact="")
    assert value("build::impl", "output", attempt("build::impl[x]"), empty, foreach=["build"]) == (
        "diff of build::impl[x] 1"
    )


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("id", "r1"),
        ("workflow", "tdd"),
        ("spec", "spec.md"),
        ("status", "running"),
        ("duration", "61"),
        ("retries", "1"),
        ("cost", "0.2500"),
        ("tokens_in", "70"),
        ("tokens_out", "24"),
    ],
)
def test_field_of_the_run_counts_all_attempts(field: str, written: str) -> None:
    values = TemplateValues(record_of([attempt("a", 1, "retried"), attempt("b", 2)]), {}, lambda _: "")
    assert values.run(field) == written


def own(*attempts: AttemptRecord) -> TemplateValues:
    return TemplateValues(record_of(attempts), {}, lambda one: f"diff of {one.step} {one.number}")


def test_previous_attempt_is_the_newest_valid_one_before_this_number() -> None:
    stale = attempt("a", 2)
    stale.superseded = True
    values, path = (
        own(attempt("a", 1, artifact="first"), stale, attempt("a", 3, artifact="third"), running("a", 4)),
        StepPath(("a",)),
    )
    assert values.previous(path, "output", attempt=3) == "first"
    assert values.previous(path, "output", attempt=4) == "third"
    assert values.previous(path, "output") == "third"
    assert values.previous(path, "diff", attempt=3) == "diff of a 1"
    assert values.previous(path, "output", attempt=1) == ""
    assert values.previous(StepPath(("b",)), "output") == ""


@pytest.mark.parametrize(
    ("failed", "newest"),
    [
        (None, "g::a[x]"),
        ("g::a[x]", "g::a[x]"),
        ("g::b[x]", "g::a[x]"),
        ("g::a--replan::plan[x]", "g::a--replan::plan[x]"),
        ("g::a--replan::item[x--part]", "g::a--replan::item[x--part]"),
        ("g::b--replan::item[x--part]", "g::a[x]"),
        ("h::a--replan::plan[x]", "g::a[x]"),
    ],
)
def test_attempt_before_is_the_part_with_which_a_replan_of_the_step_failed(failed: str | None, newest: str) -> None:
    path = None if failed is None else StepPath.parse(failed)
    assert str(newest_path(StepPath.parse("g::a[x]"), path)) == newest


def test_comment_of_the_previous_attempt_is_that_of_its_verdict() -> None:
    values = own(attempt("a", 1, verdict=Verdict(passed=False, comment="too long")), attempt("b", 1))
    assert values.previous(StepPath(("a",)), "comment") == "too long"
    assert values.previous(StepPath(("b",)), "comment") == ""
    gates = (
        GateResult("test", "passed", output="4 passed"),
        GateResult("validate: a", "failed", output="no layers"),
        GateResult("validate: b", "passed"),
        GateResult("validate: c", "failed", output="slow"),
    )
    assert own(attempt("a", 1, gates=gates)).previous(StepPath(("a",)), "comment") == "no layers\n\nslow"


def test_gate_is_summarised_from_the_newest_attempt() -> None:
    first = attempt("a", 1, gates=(GateResult("test", "failed", "9 failed"),))
    gates = (
        GateResult("test", "failed", "2 failed"),
        GateResult("bash: make a", "passed", ""),
        GateResult("bash: make b", "failed", "exit code 2"),
        GateResult("validate: arch-review (independent)", "failed", "no layers"),
    )
    values, path = own(first, attempt("a", 2, gates=gates)), StepPath(("a",))
    names = ("test", "bash", "arch-review", "validate", "lint")
    assert [values.gate(path, name) for name in names] == ["2 failed", "passed; exit code 2", "no layers", "", ""]
