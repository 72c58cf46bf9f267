"""Agents that change what they must not: configuration, the base of gates, the user's checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kits.cases import case

if TYPE_CHECKING:
    from tests.kits.rogue import Rogue

PLANTED = [
    *(".claude/settings.json", ".codex/config.toml", ".gemini/settings.json", ".qwen/settings.json", ".cursor/rules"),
    *("opencode.json", ".mcp.json", ".gump/workflows/tdd.yaml", ".gump/conventions.md", "gump.toml"),
    *(".githooks/pre-commit", ".gitmodules", ".husky/pre-commit", ".opencode/x.json", "sub/.claude/settings.json"),
    *(".github/copilot-instructions.md", ".github/hooks/x.json"),
]


def test_planted_configuration_is_out_of_bounds(rogue: Rogue) -> None:
    rogue.workflow(
        f"    gate: [compile]\n    on_failure: {{retry: {len(PLANTED)}, strategy: [same, 'escalate: script']}}\n"
    )
    rogue.agent(f"write({PLANTED!r}[attempt - 1], '{{}}'); write('kept.py')")
    ran = rogue.run()
    assert (ran.code, len(ran.results)) == (1, len(PLANTED))
    for name, result in zip(PLANTED, ran.results, strict=True):
        with case(name):
            assert result.outcome == "out_of_bounds"
            assert ran.has_one_line(f"changed protected files: {name}")
            assert b"kept.py" in rogue.tree(result)


def test_planted_configuration_in_another_case_is_out_of_bounds(rogue: Rogue) -> None:
    rogue.agent("write('.Claude/settings.json', '{}')")
    assert rogue.run().result.outcome == "out_of_bounds"


def test_hidden_run_folders_in_the_worktree_are_not_kept(rogue: Rogue) -> None:
    rogue.agent("write('.gump/runs/x/ledger.ndjson', 'x'); write('.gump/runs/.gitignore', '*')")
    assert rogue.run().result.changed == ()
    assert len(rogue.project.folders()) == 1


def test_gate_commands_come_from_the_base(rogue: Rogue) -> None:
    rogue.project.write({"pyproject.toml": "[tool.pytest.ini_options]\ngump_test = 'test ! -e new.py'\n"})
    rogue.workflow("    gate: [test]\n")
    rogue.agent("write('pyproject.toml', '[tool.pytest.ini_options]\\ngump_test = \"true\"\\n'); write('new.py')")
    ran = rogue.run()
    assert (ran.result.outcome, ran.result.gates[0].command) == ("gate_failed", "test ! -e new.py")
    assert ran.has_one_line("changed what gates read: pyproject.toml")


def test_gump_toml_may_change_if_the_item_names_it_but_gates_keep_the_base(rogue: Rogue) -> None:
    rogue.project.write({"gump.toml": "[validation]\ntest_cmd = 'test ! -e new.py'\n"})
    rogue.project.workflow("rogue", ITEMS)
    rogue.agent(
        """
        if os.environ["GUMP_STEP"] == "plan":
            plan = [{"name": "a", "description": "a", "files": ["gump.toml", "new.py"]}]
            write(".gump/out/plan.json", json.dumps(plan))
        else:
            write("gump.toml", "[validation]\\ntest_cmd = 'true'\\n"); write("new.py")
        """
    )
    ran = rogue.run()
    assert [one.outcome for one in ran.results] == ["passed", "gate_failed"]


ITEMS = """\
name: rogue
steps:
  - name: plan
    agent: script
    output: plan
    prompt: Plan.
  - name: build
    foreach: plan
    steps:
      - name: impl
        agent: script
        prompt: Do it.
        gate: [test]
"""


@pytest.mark.parametrize("name", ["app.py", ".gump/workflows/x", ".git/config", "../{name}/app.py"])
def test_a_tool_call_that_writes_into_the_users_checkout_ends_the_attempt(rogue: Rogue, name: str) -> None:
    place = name.format(name=rogue.project.path.name)
    call = f"say('tool_call', tool='Write', path=str(user / {place!r}))"
    rogue.agent(f"{call}; time.sleep(0.1); (user / {place!r}).open('a').write('# more\\n'); time.sleep(600)")
    ran = rogue.run(touches=(place.removeprefix(f"../{rogue.project.path.name}/"),))
    assert (ran.code, ran.result.outcome) == (1, "out_of_bounds")
    assert ran.has_one_line("the agent wrote into the user's checkout: ")
    assert ran.seconds < 20


def test_a_tool_call_through_a_link_into_the_users_checkout_ends_the_attempt(rogue: Rogue) -> None:
    call = "say('tool_call', tool='Write', path='way/app.py')"
    rogue.agent(f"os.symlink(user, 'way'); {call}; write(user / 'app.py', 'value = 3\\n'); time.sleep(600)")
    assert rogue.run(touches=("app.py",)).result.outcome == "out_of_bounds"


def test_a_refused_tool_call_is_a_note(rogue: Rogue) -> None:
    rogue.agent("say('tool_call', tool='Write', path=str(user / 'app.py')); write('new.py')")
    ran = rogue.run()
    assert (ran.code, ran.result.outcome) == (0, "passed")
    assert any(
        "tried to write into the user's checkout, but nothing changed there: " in note for note in ran.result.notes
    )


def test_a_change_in_the_checkout_without_a_tool_call_is_a_warning(rogue: Rogue) -> None:
    rogue.agent("write(user / 'app.py', 'value = 3\\n'); write(user / 'stray.txt'); write('new.py')")
    ran = rogue.run(touches=("app.py", "stray.txt"))
    assert (ran.code, ran.result.outcome) == (0, "passed")
    assert any("your checkout changed during the run: app.py, stray.txt (new)" in line for line in ran.lines)


def test_no_warning_about_an_unchanged_checkout(rogue: Rogue) -> None:
    rogue.project.write({"fresh.txt": "untracked\n"})
    rogue.agent("write('new.py')")
    assert not any("your checkout changed" in line for line in rogue.run().lines)
