from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from pytest_gump.engine.checks.bounds import Roots, check_bounds, gate_config, outside, place_in, protected
from pytest_gump.order import Order, PlanItem
from pytest_gump.workflow.model import GateSpec


def order(*files: str, blast_radius: Literal["enforce", "warn", "off"] = "enforce") -> Order:
    item = PlanItem("i", "i", files=files)
    return Order(
        "r", "s", 1, "diff", "a", base="b", step_base="b", run_base="b", slot="s", item=item, blast_radius=blast_radius
    )


def test_a_step_that_must_add_tests_may_change_test_files_that_the_item_leaves_out() -> None:
    writing = replace(order("src/a.py"), gates=(GateSpec("compile"), GateSpec("tests_found")))
    assert check_bounds(writing, ["src/a.py", "tests/test_a.py"]).reason is None
    assert check_bounds(writing, ["tests/test_a.py", "src/b.py"]).reason is not None
    assert check_bounds(writing, ["checks/a.t"], tests=("checks/",)).reason is None
    assert check_bounds(order("src/a.py"), ["tests/test_a.py"]).reason is not None


def test_directory_matches_its_content_and_stars_match_across_folders() -> None:
    item = PlanItem("i", "i", files=("src/app", "tests/**/test_*.py"))
    changed = ["src/app/deep/a.py", "tests/x/y/test_a.py", "tests/x/data.txt", "README.md"]
    assert outside(changed, item) == ["tests/x/data.txt", "README.md"]


def test_plan_item_without_files_covers_everything() -> None:
    assert outside(["a", "b"], PlanItem("i", "i")) == []
    assert outside(["a", "b"], None) == []


def test_blast_radius_enforce_fails_and_names_the_files() -> None:
    crossing = check_bounds(order("src/"), ["src/a.py", "b.py"])
    assert crossing.reason == "changed files outside those of the plan item: b.py"
    assert crossing.warning is None


def test_blast_radius_warn_does_not_fail() -> None:
    crossing = check_bounds(order("src/", blast_radius="warn"), ["b.py"])
    assert crossing.reason is None
    assert crossing.warning == "changed files outside those of the plan item: b.py"


def test_blast_radius_off_reports_nothing() -> None:
    crossing = check_bounds(order("src/", blast_radius="off"), ["b.py"])
    assert (crossing.reason, crossing.warning) == (None, None)


@pytest.mark.parametrize("path", [".claude/settings.json", "gump.toml", ".gump/workflows/x.yaml", "sub/.mcp.json"])
def test_agent_configuration_is_protected_in_every_folder(path: str) -> None:
    assert protected([path, "a.py"], None) == [path]


def test_plan_item_may_name_a_protected_file() -> None:
    item = PlanItem("i", "i", files=(".gump/workflows/ci.yaml", "src/"))
    assert protected([".gump/workflows/ci.yaml"], item) == []
    assert protected([".gump/conventions.md"], item) == [".gump/conventions.md"]


@pytest.mark.parametrize("pattern", ["./.claude/", ".claude", ".claude/settings.json "])
def test_plan_item_may_write_the_pattern_of_a_protected_file_in_several_ways(pattern: str) -> None:
    crossing = check_bounds(order(pattern, "src/"), [".claude/settings.json", "src/a.py"])
    assert crossing == (None, None)


def test_pattern_that_matches_everything_does_not_allow_protected_files() -> None:
    assert protected([".claude/settings.json"], PlanItem("i", "i", files=("**", "*"))) == [".claude/settings.json"]


def test_agent_configuration_is_protected_in_upper_and_lower_case() -> None:
    assert protected([".Claude/settings.json", "GUMP.toml", "Claude/a"], None) == [".Claude/settings.json", "GUMP.toml"]


def test_bad_files_are_reported_first_and_all_reasons_are_reported() -> None:
    crossing = check_bounds(order("src/"), ["gump.toml"], bad=["link"])
    assert crossing.reason is not None
    assert crossing.reason.startswith("left files that cannot be kept")
    assert "link; changed protected files: gump.toml; changed files outside" in crossing.reason


def test_configuration_of_gates_is_found() -> None:
    assert gate_config(["src/a.py", "Makefile", "sub/conftest.py"]) == ("Makefile", "sub/conftest.py")


def test_paths_of_tool_calls_are_resolved_in_the_worktree(tmp_path: Path) -> None:
    slot = tmp_path / "slot"
    slot.mkdir()
    assert place_in(slot, "a/../b.py") == "b.py"
    assert place_in(slot, str(slot / ".gump" / "out" / "plan.json")) == ".gump/out/plan.json"
    assert place_in(slot, "../other/b.py") is None
    assert place_in(slot, str(tmp_path / "slot2" / "b.py")) is None


def test_paths_are_resolved_in_a_worktree_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert place_in(tmp_path / "link", str(tmp_path / "real" / "a.py")) == "a.py"
    assert place_in(tmp_path / "link", str(tmp_path / "link" / "b.py")) == "b.py"


def test_paths_in_the_checkout_are_recognized_in_every_spelling(tmp_path: Path) -> None:
    checkout, slot = tmp_path / "project", tmp_path / "cache" / "slot"
    checkout.mkdir()
    slot.mkdir(parents=True)
    (slot / "way").symlink_to(checkout)
    roots = Roots(slot, checkout)
    assert roots.is_in_checkout(str(checkout / "a.py"))
    assert roots.is_in_checkout("../../project/a.py")
    assert roots.is_in_checkout("way/a.py")
    assert not roots.is_in_checkout("a.py")
    assert not roots.is_in_checkout(str(tmp_path / "project2" / "a.py"))


def test_new_links_are_followed_also_in_place_of_the_worktree(tmp_path: Path) -> None:
    checkout, slot = tmp_path / "project", tmp_path / "slot"
    checkout.mkdir()
    slot.mkdir()
    roots = Roots(slot, checkout)
    assert not roots.is_in_checkout("way/a.py")
    (slot / "way").symlink_to(checkout)
    assert roots.is_in_checkout("way/a.py")
    slot.rename(tmp_path / "gone")
    slot.symlink_to(checkout)
    assert roots.is_in_checkout("a.py")


def test_worktree_inside_the_checkout_is_not_the_checkout(tmp_path: Path) -> None:
    slot = tmp_path / ".gump" / "worktrees" / "one"
    slot.mkdir(parents=True)
    roots = Roots(slot, tmp_path)
    assert not roots.is_in_checkout(str(slot / "a.py"))
    assert roots.is_in_checkout(str(tmp_path / "a.py"))


@pytest.mark.parametrize("name", ["a\0b.py", "\ud800.py"])
def test_invalid_file_name_is_resolved_too(tmp_path: Path, name: str) -> None:
    roots = Roots(tmp_path / "slot", tmp_path / "project")
    assert roots.is_in_checkout(f"{tmp_path}/project/{name}")
    assert not roots.is_in_checkout(name)


def test_paths_outside_the_worktree_are_in_a_checkout_at_the_file_system_root(tmp_path: Path) -> None:
    roots = Roots(tmp_path, Path("/"))
    assert roots.is_in_checkout("/etc/hosts")
    assert not roots.is_in_checkout("a.py")
