"""Resolution of one reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.workflow.refs import Scopes

if TYPE_CHECKING:
    from pytest_gump.workflow.model import Workflow


def resolve_step(workflow: Workflow, scope: tuple[str, ...], ref: str) -> str:
    """Return the static path (`build::impl`) of the step that `ref` refers to in the step `scope`."""
    return "::".join(Scopes(workflow).resolve(scope, ref))
