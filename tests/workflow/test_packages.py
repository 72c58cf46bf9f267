from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from pytest_gump.errors import ConfigError
from pytest_gump.workflow.find import find_workflow, list_workflows
from pytest_gump.workflow.packages import find_package, list_packages

from tests.workflow.installed import FLOW, install

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return tmp_path / "site"


def refusal(name: str) -> str:
    with pytest.raises(ConfigError) as caught:
        find_package(name)
    return str(caught.value)


def test_a_package_has_the_version_of_its_distribution_and_a_digest(site: Path) -> None:
    folder = install(site, "acme", "1.2", flow=FLOW)
    package = find_package("acme")
    assert (package.name, package.version, package.folder) == ("acme", "1.2", folder)
    assert str(package) == f"acme 1.2 ({package.digest})"


def test_the_digest_is_that_of_names_and_contents(site: Path) -> None:
    folder = install(site, "acme", flow=FLOW)
    digests = [find_package("acme").digest]
    (folder / "flow.yaml").rename(folder / "other.yaml")
    digests.append(find_package("acme").digest)
    (folder / "other.yaml").write_text(FLOW + "#\n")
    digests.append(find_package("acme").digest)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "a.pyc").write_text("x")
    assert len(set(digests)) == 3
    assert find_package("acme").digest == digests[-1]


def test_the_code_of_a_package_does_not_run(site: Path) -> None:
    folder = install(site, "acme", folder="acme_code.flows", flow=FLOW)
    (folder.parent / "__init__.py").write_text("raise SystemExit('imported')\n")
    assert find_package("acme").folder == folder
    assert "acme_code" not in sys.modules


def test_a_folder_of_the_project_does_not_replace_a_package(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = install(site, "acme", flow=FLOW)
    (tmp_path / "project" / folder.name).mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path / "project"))
    assert find_package("acme").folder == folder


def test_an_editable_package_is_where_python_finds_it(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "acme")
    (tmp_path / "source" / "acme_flows").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path / "source"))
    assert find_package("acme").folder == tmp_path / "source" / "acme_flows"


def test_two_packages_of_one_name_are_an_error(site: Path) -> None:
    install(site, "acme", "1.0", flow=FLOW)
    install(site, "acme", "2.0", folder="other_flows", distribution="other", flow=FLOW)
    message = (
        "two installed packages have the name 'acme': acme-workflows 1.0 and other 2.0\n  hint: uninstall one of them"
    )
    assert refusal("acme") == message
    with pytest.raises(ConfigError) as caught:
        list_packages()
    assert str(caught.value) == message


def test_a_package_that_is_not_installed_is_refused_with_the_near_names(site: Path) -> None:
    install(site, "acme", flow=FLOW)
    assert refusal("acne") == "no package of workflows 'acne' is installed\n  hint: did you mean 'acme'?"


@pytest.mark.parametrize("name", ["-x", "../up", "a b", "validators"])
def test_a_package_with_a_name_that_cannot_be_used_is_refused(name: str, site: Path, tmp_path: Path) -> None:
    install(site, name, distribution="odd", folder="odd_flows", flow=FLOW)
    with pytest.raises(ConfigError) as caught:
        list_workflows(tmp_path, None)
    assert str(caught.value) == (f"package '{name}' 1.0 has a name that cannot be used\n  hint: rename its entry point")


@pytest.mark.parametrize(
    "module", ["acme_missing", "json:tool", "json.nothing", "sys", "../../etc", "/etc", ".", "a..b"]
)
def test_an_entry_point_that_names_no_folder_is_refused(module: str, site: Path) -> None:
    install(site, "acme", folder=module)
    assert refusal("acme") == (
        f"package 'acme' (acme-workflows 1.0) has no folder '{module}'\n"
        "  hint: its entry point in the group pytest_gump.workflows must name a folder of YAML files, like a module"
    )


def test_a_package_that_cannot_be_read_is_refused(site: Path) -> None:
    folder = install(site, "acme", flow=FLOW)
    (folder / "flow.yaml").unlink()
    (folder / "flow.yaml").symlink_to("/proc/self/mem")
    assert refusal("acme").startswith("package 'acme' (acme-workflows 1.0) cannot be read: ")


def test_a_workflow_of_a_package_is_found_by_its_name(site: Path, tmp_path: Path) -> None:
    folder = install(site, "acme", flow=FLOW, tdd=FLOW)
    found = find_workflow("acme/flow", tmp_path, None)
    assert (found.path, found.source, found.name, found.package) == (
        folder / "flow.yaml", "package", "acme/flow", find_package("acme"),
    )  # fmt: skip


def test_a_workflow_that_a_package_lacks_is_refused(site: Path, tmp_path: Path) -> None:
    install(site, "acme", flow=FLOW)
    with pytest.raises(ConfigError) as caught:
        find_workflow("acme/tdd", tmp_path, None)
    assert str(caught.value) == "package 'acme' 1.0 has no workflow 'tdd'\n  hint: it has: flow"


def test_the_workflows_of_packages_are_listed_after_the_others(site: Path, tmp_path: Path) -> None:
    install(site, "acme", flow=FLOW, audit=FLOW)
    listed = [(found.name, found.source) for found in list_workflows(tmp_path, None)]
    assert listed[-2:] == [("acme/audit", "package"), ("acme/flow", "package")]
