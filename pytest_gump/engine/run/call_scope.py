"""What the calls around a step define: values of inputs, the blast radius, and packages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_gump.workflow.path import StepPath
from pytest_gump.workflow.refs import calls_around, scope_key
from pytest_gump.workflow.template import BASE_NAMES, parse, written_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_gump.engine.schedule.records import Ready
    from pytest_gump.workflow.model import BlastRadius, Call, Workflow
    from pytest_gump.workflow.refs import CallAround

    Value = Callable[[str, Ready], str]
    """Returns the value of a template name for an attempt."""

_STRICTNESS: Final = ("off", "warn", "enforce")


def is_input(name: str) -> bool:
    return "." not in name and name not in BASE_NAMES


class CallScope:
    def __init__(
        self, workflow: Workflow, inputs: Mapping[str, str], prefix: Callable[[str, str], str] = lambda *_: ""
    ) -> None:
        """Initialize.

        Args:
            inputs: Those of the command line, for steps outside any call.
            prefix: Returns where a call, by its static path, gives an input its value: `flow.yaml:6: `; may be empty.
        """
        self._workflow = workflow
        self._inputs = inputs
        self._prefix = prefix
        self._calls: dict[tuple[str, ...], tuple[CallAround, ...]] = {}

    def _around(self, names: tuple[str, ...]) -> tuple[CallAround, ...]:
        key = scope_key(names)
        if key not in self._calls:
            self._calls[key] = tuple(calls_around(self._workflow, names))
        return self._calls[key]

    def name_in(self, ready: Ready, name: str) -> str:
        """Return a template name with the call that uses it, if any: the same name can have another value there."""
        around = self._around(ready.path.names)
        return f"{'::'.join(around[-1].names)}: {name}" if around else name

    def value(self, name: str, ready: Ready, value: Value) -> str:
        """Return the value of an input. `value` fills the template that the caller wrote, in the caller's scope."""
        around = self._around(ready.path.names)
        return self._value(around[-1], name, ready, value) if around else self._inputs.get(name, "")

    def _value(self, around: CallAround, name: str, ready: Ready, value: Value) -> str:
        call = around.call
        declared = call.inputs.get(name)
        if name not in call.values:
            return (declared.default if declared is not None else None) or ""
        outside = self._outside(around, ready)
        filled = parse(call.values[name]).render(lambda inner: value(inner, outside))
        return filled if declared is None or declared.type == "string" else filled.strip()

    def depth(self, names: tuple[str, ...]) -> int:
        """Return the number of calls around a step."""
        return len(self._around(names))

    def shown_inputs(self, names: tuple[str, ...], call: Call) -> dict[str, str]:
        """Return the inputs of a call, for a description: inputs of the caller are filled in, other names stay."""
        around = self._around(names)
        outer = dict(self._inputs) if not around else self.shown_inputs(around[-1].names, around[-1].call)

        def shown(name: str) -> str:
            return outer.get(name, "") if is_input(name) else f"{{{name}}}"

        given = {name: parse(text).render(shown) for name, text in call.values.items()}
        return {name: given.get(name, declared.default or "") for name, declared in call.inputs.items()}

    def _outside(self, around: CallAround, ready: Ready) -> Ready:
        """Return the attempt as a step in the place of the call: the scope that fills the templates of `with`."""
        depth = len(self._around(around.names))
        return replace(
            ready,
            path=StepPath(around.names, ready.path.items[: around.items]),
            step=around.step,
            items=ready.items[: around.items],
            role="step",
            failure=None,
            failed=None,
            calls=ready.calls[: depth + 1],
        )

    def wrong_input(self, ready: Ready, value: Value) -> str | None:
        """Return which filled input of the calls around an attempt is not valid; None if all are."""
        for around in self._around(ready.path.names):
            from pytest_gump.workflow.inputs import value_error  # most steps are in no call

            for name, text in around.call.values.items():
                filled = self._value(around, name, ready, value) if written_names(text) else None
                wrong = None if filled is None else value_error(name, around.call.inputs[name], filled)
                if wrong is not None:
                    prefix = self._prefix("::".join(around.names), name)
                    return f"{prefix}the call {self._outside(around, ready).path} cannot start: {wrong}"
        return None

    def blast_radius(self, path: StepPath) -> BlastRadius:
        """Return the strictest value of the workflow and the calls around a step."""
        values = (self._workflow.blast_radius, *(around.call.blast_radius for around in self._around(path.names)))
        return max(values, key=_STRICTNESS.index)

    def packages(self, path: StepPath) -> str:
        """Return the packages whose files define a step, with their versions and digests; empty if there are none."""
        around = (around.call.package for around in self._around(path.names))
        return "; ".join(dict.fromkeys(str(package) for package in (self._workflow.package, *around) if package))
