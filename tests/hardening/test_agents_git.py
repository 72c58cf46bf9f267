"""Agents that use or damage git. Only their files count, and the user's repository does not change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kits.cases import case

if TYPE_CHECKING:
    from tests.kits.rogue import Rogue

GIT = {
    "commit": ("git('add', '-A'); git('commit', '-qm', 'mine')", ["new.py"]),
    "switch": ("git('switch', '-qc', 'mine'); git('add', '-A'); git('commit', '-qm', 'mine')", ["new.py"]),
    "reset": ("git('add', '-A'); git('reset', '-q', '--hard', 'HEAD')", []),
    "stash": ("git('stash', 'push', '-q', '--include-untracked')", []),
    "stash_drop": ("write('app.py', 'x'); git('stash', 'push', '-q'); git('stash', 'drop', '-q')", ["new.py"]),
    "clean": ("git('clean', '-qfdx')", []),
    "gc": ("git('gc', '-q', '--prune=now', '--aggressive'); git('reflog', 'expire', '--all')", ["new.py"]),
    "config": ("git('config', 'core.bare', 'true'); git('config', 'user.name', 'x')", ["new.py"]),
    "hooks": ("write('.git/hooks/post-checkout', '#!/bin/sh\\ntouch ' + str(user / 'hooked'))", ["new.py"]),
    "update_ref": ("git('update-ref', 'refs/heads/main', 'HEAD~1'); git('branch', '-f', 'other', 'HEAD')", ["new.py"]),
    "assume_unchanged": (
        "write('app.py', 'value = 2\\n'); git('update-index', '--assume-unchanged', 'app.py')",
        ["app.py", "new.py"],
    ),
    "skip_worktree": (
        "write('app.py', 'value = 3\\n'); git('update-index', '--skip-worktree', 'app.py')",
        ["app.py", "new.py"],
    ),
    "lock": ("write('.git/index.lock'); write('.git/HEAD.lock')", ["new.py"]),
    "exclude": ("write('.git/info/exclude', '*.py\\n')", ["new.py"]),
}


def test_git_commands_of_the_agent_do_not_affect_its_result(rogue: Rogue) -> None:
    rogue.steps(GIT, "['bash: git rev-parse --verify HEAD && git status']")
    acts = {name: act for name, (act, _) in GIT.items()}
    rogue.agent(f"write(f'{{step}}.new.py', 'x = 1\\n')\nos.utime('app.py')\nexec({acts!r}[step])")
    ran = rogue.run()
    assert ran.code == 0, ran.lines
    for (name, (_, changed)), attempt in zip(GIT.items(), rogue.project.record().attempts, strict=True):
        with case(name):
            assert attempt.result is not None
            assert (attempt.step, attempt.result.outcome) == (name, "passed"), attempt.result.reason
            assert [one.path for one in attempt.result.changed] == [
                path.replace("new", f"{name}.new") for path in changed
            ]
            assert rogue.project.git("rev-parse", f"{attempt.result.snapshot}^") == attempt.step_base
            assert ran.has_one_line(f"✓ {name} ")


@pytest.mark.parametrize("act", ["git('switch', '-q', '--orphan', 'b')", "git('reset', '-q', '--hard', 'HEAD~3')"])
def test_checking_out_an_older_commit_is_a_change_like_any_other(rogue: Rogue, act: str) -> None:
    rogue.agent(act)
    ran = rogue.run()
    assert (ran.code, ran.result.outcome) == (1, "out_of_bounds")
    assert ran.has_one_line("changed protected files: .gump/workflows/rogue.yaml")
    assert ("docs/notes.md", "deleted") in [(one.path, one.status) for one in ran.result.changed]


RUIN = {
    "deleted": "shutil.rmtree('.git')",
    "emptied": "shutil.rmtree('.git'); os.mkdir('.git')",
    "a_file": "shutil.rmtree('.git'); write('.git', 'rubbish')",
    "points_to_the_user": "shutil.rmtree('.git'); write('.git', f'gitdir: {user}/.git\\n')",
    "link_to_the_user": "shutil.rmtree('.git'); os.symlink(user / '.git', '.git')",
    "another_repository": "shutil.rmtree('.git'); git('init', '-q'); git('commit', '-q', '--allow-empty', '-m', 'x')",
    "no_alternates": "os.unlink('.git/objects/info/alternates')",
    "config_worktree": "git('config', 'core.worktree', str(user))",
    "read_only": "os.chmod('.git', 0o500); os.chmod('.git/refs', 0)",
}
USES_GIT = "['bash: git add -A && git stash && git stash pop && git config gump.test 1 && git diff --quiet']"


def test_a_damaged_git_folder_harms_neither_gates_nor_the_user(rogue: Rogue) -> None:
    rogue.steps(RUIN, USES_GIT)
    rogue.agent(f"write(f'new-{{step}}.py', 'x = 1\\n')\nexec({RUIN!r}[step])")
    ran = rogue.run()
    assert ran.code == 0, ran.lines
    for name, result in zip(RUIN, ran.results, strict=True):
        with case(name):
            assert result.outcome == "passed", result
            assert rogue.tree(result).count(f"new-{name}.py".encode()) == 1


def test_gates_see_the_change_staged_on_the_base_even_if_the_agent_commits(rogue: Rogue) -> None:
    rogue.workflow(
        "    gate: ['bash: test \"$(git diff --cached --name-only HEAD)\" = new.py', 'bash: git diff --quiet']\n"
    )
    rogue.agent("write('new.py', 'x = 1\\n'); git('add', '-A'); git('commit', '-qm', 'mine')")
    assert rogue.run().result.outcome == "passed"


def test_an_attempt_after_a_damaged_git_folder_has_an_intact_one(rogue: Rogue) -> None:
    rogue.workflow("    gate: ['bash: test -f second.py']\n    on_failure: {retry: 2, strategy: [same]}\n")
    rogue.agent(
        "if attempt == 1:\n    write('first.py'); shutil.rmtree('.git')\nelse:\n    git('status'); write('second.py')\n"
    )
    ran = rogue.run()
    assert [one.outcome for one in ran.results] == ["gate_failed", "passed"]
    assert [one.path for one in ran.result.changed] == ["first.py", "second.py"]


def test_a_gitattributes_filter_of_the_agent_is_not_run(rogue: Rogue) -> None:
    rogue.agent(
        "write('.gitattributes', '*.py filter=evil diff=evil\\n*.md text eol=crlf\\n')\n"
        "for kind in ('clean', 'smudge', 'process'): git('config', f'filter.evil.{kind}', f'touch {user}/filtered')\n"
        "git('config', 'filter.evil.required', 'true'); git('config', 'diff.evil.command', f'touch {user}/filtered')\n"
        "write('new.py', 'x = 1\\n')\n"
    )
    ran = rogue.run()
    assert ran.result.outcome == "passed", ran.result.reason
    assert rogue.project.tree(str(ran.result.snapshot))["new.py"] == "x = 1"


def test_attributes_that_git_cannot_apply_fail_the_attempt(rogue: Rogue) -> None:
    rogue.agent(
        "write('.gitattributes', '*.txt working-tree-encoding=UTF-16\\n'); write('a.txt', 'abc'); write('b.py')"
    )
    ran = rogue.run()
    assert ran.result.outcome == "out_of_bounds", ran.result
    assert "a.txt" in ran.result.reason
    assert b"b.py" in rogue.tree(ran.result)


def test_a_nested_repository_is_kept_as_plain_files(rogue: Rogue) -> None:
    rogue.agent(
        "write('lib/x.py', 'x = 1\\n'); git('init', '-q', 'lib'); git('-C', 'lib', 'add', '-A')\n"
        "git('-C', 'lib', 'commit', '-qm', 'x'); git('add', '-A')\n"
    )
    ran = rogue.run()
    assert (ran.code, ran.result.outcome) == (0, "passed")
    assert b"lib/x.py" in rogue.tree(ran.result)
    assert ran.has_one_line("nested repositories were kept as plain files: 'lib'")
