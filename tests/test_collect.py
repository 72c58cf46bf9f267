"""The files that pytest collects if several workflow files of a folder are named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kits.workflows import ONE

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject


@pytest.fixture
def flows(project: GumpProject) -> GumpProject:
    names = ("a", "b", "c")
    project.write({f"flows/{name}.yaml": ONE.replace("name: one", f"name: {name}") for name in names})
    project.write({"flows/test_x.py": "def test_x(): pass\n", "flows/sub/d.yaml": ONE, "flows/sub/e.yaml": ONE})
    return project


@pytest.mark.parametrize(
    ("named", "collected"),
    [
        ("a.yaml b.yaml c.yaml", "a.yaml::a::impl b.yaml::b::impl c.yaml::c::impl"),
        ("c.yaml a.yaml", "c.yaml::c::impl a.yaml::a::impl"),
        ("a.yaml a.yaml b.yaml", "a.yaml::a::impl b.yaml::b::impl"),
        ("a.yaml b.yaml::b::impl c.yaml", "a.yaml::a::impl b.yaml::b::impl c.yaml::c::impl"),
        ("a.yaml test_x.py b.yaml", "a.yaml::a::impl test_x.py::test_x b.yaml::b::impl"),
        ("test_x.py b.yaml a.yaml", "test_x.py::test_x b.yaml::b::impl a.yaml::a::impl"),
        (
            "a.yaml sub/d.yaml b.yaml sub/e.yaml",
            "a.yaml::a::impl sub/d.yaml::one::impl b.yaml::b::impl sub/e.yaml::one::impl",
        ),
        ("sub a.yaml b.yaml", "a.yaml::a::impl b.yaml::b::impl"),
        ("--keep-duplicates a.yaml a.yaml b.yaml", "a.yaml::a::impl a.yaml::a::impl b.yaml::b::impl"),
    ],
)
def test_named_files_are_collected_in_the_order_of_the_command_line(
    flows: GumpProject, named: str, collected: str
) -> None:
    words = [word if word.startswith("-") else f"flows/{word}" for word in named.split()]
    result = flows.pytester.runpytest_inprocess("--collect-only", "-q", "--gump-spec=spec.md", *words)
    assert [line for line in result.outlines if "::" in line] == [f"flows/{one}" for one in collected.split()]


def test_a_folder_named_with_its_files_collects_them_twice(flows: GumpProject) -> None:
    words = ("--keep-duplicates", "flows", "flows/a.yaml", "flows/b.yaml")
    result = flows.pytester.runpytest_inprocess("--collect-only", "-q", "--gump-spec=spec.md", *words)
    lines = [line for line in result.outlines if "::" in line]
    assert lines.count("flows/a.yaml::a::impl") == lines.count("flows/b.yaml::b::impl") == 2
