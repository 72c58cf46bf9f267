"""What `pip install pytest-gump` brings: a new distribution, or one that puts a plugin into every session, is a decision."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement

EXPECTED = {
    "pytest": {"iniconfig", "packaging", "pluggy", "pygments"},
    "pyyaml": set(),
    "pydantic": {"annotated-types", "pydantic-core", "typing-extensions", "typing-inspection"},
    "gitpython": {"gitdb", "smmap"},
    "pytest-xdist": {"execnet"},
    "psutil": set(),
    "pathspec": set(),
}


def brought() -> set[str]:
    """Names of the distributions that ours requires here, directly or not, without extras."""
    waiting, found = ["pytest-gump"], set[str]()
    while waiting:
        needed = map(Requirement, metadata.requires(waiting.pop()) or ())
        names = {
            one.name.lower().replace("_", "-") for one in needed if not one.marker or one.marker.evaluate({"extra": ""})
        }
        waiting += names - found
        found |= names
    return found


def test_only_these_distributions_are_required() -> None:
    assert brought() == set(EXPECTED).union(*EXPECTED.values())


def test_none_registers_a_pytest_plugin_but_xdist() -> None:
    plugins = {
        (name, point.name)
        for name in {*brought(), "pytest-gump"}
        for point in metadata.distribution(name).entry_points
        if point.group == "pytest11"
    }
    assert plugins == {
        ("pytest-gump", "gump"),
        ("pytest-xdist", "xdist"),
        ("pytest-xdist", "xdist.looponfail"),
    }
