"""Parallel groups in complete sessions with one process. Workers only make them faster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.kits.parallel import WORKFLOW, prepare, run
from tests.kits.sizes import full_size

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

TWO = """
if step == "decompose":
    plan({"name": "one", "description": "d"}, {"name": "two", "description": "d"})
"""


def test_items_start_from_the_same_tree_and_each_has_a_merge_step(project: GumpProject) -> None:
    script = TWO + 'if item: write(f"{item}.txt", ",".join(sorted(os.listdir())))\n'
    prepare(project, script)
    result = run(project, "-n0")
    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines(["*merge  *1 file", "*merge  *1 file"])
    record = project.record()
    assert [*record.steps] == [
        "decompose",
        "build::impl[one]",
        "build::merge[one]",
        "build::impl[two]",
        "build::merge[two]",
        "quality",
    ]
    tree = project.tree(record.head)
    assert {"one.txt", "two.txt"} <= set(tree)
    assert "one.txt" not in tree["two.txt"]
    branch = f"gump/{record.run_id}"
    assert project.git("log", "--merges", "--format=%s", branch) == "build::merge[two]: side on spec.md"
    assert "Gump-Step: build::impl[two]" in project.git("log", "-1", "--format=%b", record.head)


def test_item_with_a_conflict_restarts_from_the_merged_tree_with_a_note(project: GumpProject) -> None:
    prepare(
        project,
        TWO
        + 'if item: write("shared.txt", (pathlib.Path("shared.txt").read_text() if attempt > 1 else "") + item + "\\n")\n',
    )
    run(project, "-n0").assert_outcomes(passed=6)
    record = project.record()
    assert project.tree(record.head)["shared.txt"] == "one\ntwo"
    merges = [
        (one.step, one.attempt, one.result.outcome) for one in record.attempts if one.mode == "merge" and one.result
    ]
    assert merges == [
        ("build::merge[one]", 1, "passed"),
        ("build::merge[two]", 1, "conflict"),
        ("build::merge[two]", 2, "passed"),
    ]
    prompt = project.prompt("build::impl[two]", 2)
    assert "conflicts with changes that were merged before it: shared.txt" in prompt


def test_conflict_without_a_retry_fails_the_run_and_names_the_files(project: GumpProject) -> None:
    workflow = WORKFLOW.replace('        on_failure: {retry: 3, strategy: ["same: 3"]}\n', "")
    prepare(project, TWO + 'if item: write("shared.txt", item)\n', workflow=workflow)
    result = run(project, "-n0")
    result.assert_outcomes(passed=4, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["*merge *conflicts with changes that were merged before it: shared.txt"])
    record = project.record()
    assert (record.status, record.steps["build::merge[two]"].outcome) == ("failed", "conflict")
    assert project.tree(record.head)["shared.txt"] == "one"


ITEMS: Final = full_size(6, 20)


@pytest.mark.parametrize("workers", ["-n0", full_size("-n2", "-n4")])
def test_many_items_that_append_to_one_changelog_lose_no_line(project: GumpProject, workers: str) -> None:
    prepare(
        project,
        f"""
        if step == "decompose":
            plan(*({{"name": f"n{{number:02}}", "description": "d"}} for number in range({ITEMS})))
        if item:
            with open("CHANGES", "a") as file:
                file.write(f"{{item}}\\n")
        """,
    )
    run(project, workers).assert_outcomes(passed=2 + 2 * ITEMS)
    assert project.tree(project.record().head)["CHANGES"].split() == [f"n{number:02}" for number in range(ITEMS)]


def test_gate_of_the_group_checks_the_merged_tree(project: GumpProject) -> None:
    workflow = WORKFLOW.replace(
        "    steps:\n", '    gate: ["bash: test -f one.txt -a -f two.txt", "touched: one.txt"]\n    steps:\n', 1
    )
    prepare(project, TWO + 'if item: write(f"{item}.txt", "x")\n', workflow=workflow)
    run(project, "-n0").assert_outcomes(passed=7)
    assert project.record().steps["build::gate"].status == "passed"


def test_item_that_depends_on_another_gets_its_changes(project: GumpProject) -> None:
    prepare(
        project,
        """
        if step == "decompose":
            plan({"name": "two", "description": "d", "depends_on": ["one"]}, {"name": "one", "description": "d"})
        if item: write(f"{item}.txt", str(os.path.exists("one.txt")))
        """,
    )
    run(project, "-n0").assert_outcomes(passed=6)
    tree = project.tree(project.record().head)
    assert (tree["one.txt"], tree["two.txt"]) == ("False", "True")


def test_items_that_may_change_the_same_files_are_named_before_they_start(project: GumpProject) -> None:
    prepare(
        project,
        """
        if step == "decompose":
            plan({"name": "one", "description": "d", "files": ["src/"]}, {"name": "two", "description": "d", "files": ["src/a.py"]})
        if item: write("src/a.py" if item == "two" else "src/b.py", "x = 1\\n")
        """,
    )
    result = run(project, "-n0")
    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines(["*build: items one and two may both change src/a.py*", "*build[[]one[]]"])


def test_merges_and_gates_of_groups_are_collected_as_templates(project: GumpProject) -> None:
    prepare(project, "", workflow=WORKFLOW.replace("    steps:\n", "    gate: [compile]\n    steps:\n", 1))
    result = run(project, "--collect-only", "-q")
    assert result.outlines[:5] == [
        "spec.md::side::decompose",
        "spec.md::side::build::impl[*]",
        "spec.md::side::build::merge[*]",
        "spec.md::side::build::gate",
        "spec.md::side::quality",
    ]


def test_budget_of_the_run_is_shared_by_all_running_attempts(project: GumpProject) -> None:
    """At most one answer of each running attempt exceeds the budget."""
    workflow = WORKFLOW.replace("name: side\n", "name: side\nmax_budget: 1.00\n")
    prepare(
        project,
        """
        if step == "decompose":
            plan(*({"name": f"n{number}", "description": "d"} for number in range(6)))
        if item:
            for number in range(1, 200):
                usage(0.05 * number)
                time.sleep(0.3)
        """,
        workflow=workflow,
    )
    result = run(project, "-n3", "-o", "gump_workers=3")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    record = project.record()
    spent = record.total.cost_usd
    assert 1.0 <= spent <= 1.0 + 3 * 0.05 + 0.001
    outcomes = [str(one.result.outcome) for one in record.attempts if one.result and one.step.startswith("build::impl")]
    assert outcomes == ["budget"] * 3
    assert [step.status for step in record.steps.values()].count("skipped") >= 3


def test_parallel_groups_may_be_nested(project: GumpProject) -> None:
    workflow = """\
name: side
steps:
  - {name: decompose, agent: script, output: plan, prompt: Split it.}
  - name: build
    foreach: decompose
    parallel: true
    gate: ["bash: test $(ls *.txt | wc -l) = 6"]
    steps:
      - name: parts
        parallel: true
        gate: ["bash: test -f $GUMP_ITEM_NAME-left.txt -a -f $GUMP_ITEM_NAME-right.txt"]
        steps:
          - {name: left, agent: script, prompt: Do it.}
          - {name: right, agent: script, prompt: Do it.}
      - {name: sum, agent: script, prompt: Add it up.}
"""
    script = TWO + 'if item: write(f"{item}-{step.split(\'::\')[-1]}.txt", ",".join(sorted(os.listdir())))\n'
    prepare(project, script, workflow=workflow)
    run(project, "-n3").assert_outcomes(passed=1 + 2 * 6 + 2 + 1)
    record = project.record()
    assert record.steps["build::parts::merge[one--left]"].status == "passed"
    tree = project.tree(record.head)
    assert "one-right.txt" in tree["one-sum.txt"]
    assert "one-left.txt" not in tree["one-right.txt"]
    assert "one-left.txt" not in tree["two-sum.txt"]


def test_items_that_may_change_the_same_files_can_run_one_after_another(project: GumpProject) -> None:
    workflow = WORKFLOW.replace("    parallel: true\n", "    parallel: true\n    overlap: serialize\n")
    prepare(
        project,
        """
        if step == "decompose":
            plan(*({"name": name, "description": "d", "files": ["shared.txt"]} for name in ("one", "two", "three")))
        if item:
            with open("shared.txt", "a") as file:
                file.write(item + "\\n")
        """,
        workflow=workflow,
    )
    run(project, "-n3").assert_outcomes(passed=8)
    record = project.record()
    assert project.tree(record.head)["shared.txt"].split() == ["one", "two", "three"]
    assert [one.attempt for one in record.attempts] == [1] * 8


def test_one_step_of_a_parallel_group_can_be_selected(project: GumpProject) -> None:
    workflow = """\
name: side
steps:
  - name: both
    parallel: true
    steps:
      - {name: left, agent: script, prompt: Do it.}
      - {name: right, agent: script, prompt: Do it.}
"""
    prepare(project, 'write(step.split("::")[-1] + ".txt", "x")\n', workflow=workflow)
    run(project, "-n0", "-k", "left").assert_outcomes(passed=2, deselected=2)
    assert [*project.record().steps] == ["both::left", "both::merge[left]"]


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_token_limit_of_the_run_stops_a_running_agent(project: GumpProject, workers: str) -> None:
    workflow = "name: side\nmax_tokens: 1000\nsteps:\n  - {name: impl, agent: script, prompt: Do it.}\n"
    prepare(
        project,
        """
        for number in range(1, 100):
            say("usage", tokens={"input": 100 * number, "output": 0}, cost_usd=0.01)
            time.sleep(0.3)
        """,
        workflow=workflow,
    )
    assert run(project, workers).ret == pytest.ExitCode.TESTS_FAILED
    record = project.record()
    assert 1000 <= record.total.tokens.total <= 1300
    assert str(record.steps["impl"].outcome) == "budget"
    assert "max_tokens of 1000 is used up" in record.steps["impl"].reason
