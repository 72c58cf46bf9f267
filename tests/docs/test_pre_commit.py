"""The hooks of pre-commit run the tools of `make lint`, from the same environment."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]


def test_hooks_and_lint_run_the_same_tools() -> None:
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert recipe is not None
    linted = re.findall(r"\$\(BIN\)/(\S+(?: check| format)?)", recipe[1])
    entries = [hook["entry"] for repository in HOOKS for hook in repository["hooks"]]
    assert [re.findall(r"\.venv/bin/(\S+(?: check| format)?)", entry) for entry in entries] == [
        [tool] for tool in linted
    ]


def test_no_hook_has_its_own_version_of_a_tool() -> None:
    assert [repository["repo"] for repository in HOOKS] == ["local"]
    assert {hook["language"] for repository in HOOKS for hook in repository["hooks"]} == {"system"}
