"""The distributions that `pip install pytest-gump` installs. A new one, or one with a pytest plugin, must be a decision."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement

BESIDE_PYTEST = {
    "pyyaml": set(),
    "pydantic": {"annotated-types", "pydantic-core", "typing-extensions", "typing-inspection"},
    "gitpython": {"gitdb", "smmap"},
    "pytest-xdist": {"execnet"},
    "psutil": set(),
    "pathspec": set(),
}


def required_by(distribution: str) -> set[str]:
    """Return the names of all distributions that a distribution requires here, directly or not, without extras."""
    waiting, found = [distribution], set[str]()
    while waiting:
        needed = map(Requirement, metadata.requires(waiting.pop()) or ())
        names = {
            requirement.name.lower().replace("_", "-")
            for requirement in needed
            if not requirement.marker or requirement.marker.evaluate({"extra": ""})
        }
        waiting += names - found
        found |= names
    return found


def test_only_these_distributions_are_required() -> None:
    """The requirements of pytest depend on its version."""
    own = set(BESIDE_PYTEST).union(*BESIDE_PYTEST.values())
    assert required_by("pytest-gump") == own | {"pytest"} | required_by("pytest")


def test_only_xdist_registers_a_pytest_plugin() -> None:
    plugins = {
        (name, point.name)
        for name in {*required_by("pytest-gump"), "pytest-gump"}
        for point in metadata.distribution(name).entry_points
        if point.group == "pytest11"
    }
    assert plugins == {
        ("pytest-gump", "gump"),
        ("pytest-xdist", "xdist"),
        ("pytest-xdist", "xdist.looponfail"),
    }
