"""Installs packages of workflows, as pip leaves them behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FLOW = "name: flow\ndescription: Checks\nsteps:\n  - {name: check, gate: [test]}\n"


def install(
    site: Path, name: str, version: str = "1.0", *, folder: str = "", distribution: str = "", **files: str
) -> Path:
    """Write a distribution with an entry point `name` into a folder of `sys.path`, and return the package's folder."""
    distribution = distribution or f"{name}-workflows"
    module = folder or f"{name}_flows"
    info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[pytest_gump.workflows]\n{name} = {module}\n")
    package = site.joinpath(*module.partition(":")[0].split("."))
    for stem, text in files.items():
        package.mkdir(parents=True, exist_ok=True)
        (package / f"{stem}.yaml").write_text(text)
    return package
