"""Changes that the command line makes to a workflow: replaced agents and selected steps."""

from __future__ import annotations

from dataclasses import fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_gump.errors import ConfigError
from pytest_gump.workflow.model import VALIDATE as VALIDATE_GATE
from pytest_gump.workflow.path import VALIDATE
from pytest_gump.workflow.refs import iter_steps
from pytest_gump.workflow.template import written_names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from pytest_gump.workflow.model import Call, GateSpec, OnFailure, Package, Policy, Step, Workflow
    from pytest_gump.workflow.refs import Scopes


class AgentOverride(NamedTuple):
    """The agents that replace others."""

    every: str | None = None
    """The agent of every step. Escalations are not changed."""
    renamed: Mapping[str, str] = MappingProxyType({})
    """New agents by old ones, escalations included."""

    @classmethod
    def from_options(cls, options: Iterable[str]) -> AgentOverride:
        """Read `NEW` and `OLD=NEW`.

        Raises:
            ConfigError: An option is neither.
        """
        every: str | None = None
        renamed: dict[str, str] = {}
        for option in options:
            old, equals, new = option.rpartition("=")
            if not new or (equals and not old):
                raise ConfigError(f"--gump-agent {option!r} is neither NEW nor OLD=NEW")
            if equals:
                renamed[old] = new
            else:
                every = new
        return cls(every, renamed)

    @property
    def agents(self) -> Iterator[str]:
        """The new agents."""
        yield from self.renamed.values()
        if self.every is not None:
            yield self.every

    def agent(self, name: str) -> str:
        """Return the agent in place of a declared one."""
        return self.every or self.rename(name)

    def rename(self, name: str) -> str:
        """Return the agent in place of that of an escalation."""
        return self.renamed.get(name, name)

    def step(self, step: Step) -> Step:
        """Return a step with its new agents, and those of all steps and validators below it."""
        if not any(self):
            return step
        update: dict[str, Any] = {
            below: tuple(map(self.step, getattr(step, below))) for below in ("steps", "validators")
        }
        if step.agent is not None:
            update["agent"] = self.agent(step.agent)
        if step.agent_of is not None:
            update["agent_of"] = step.agent_of._replace(others=tuple(map(self.rename, step.agent_of.others)))
        if step.on_failure is not None:
            update["on_failure"] = _map_policies(step.on_failure, self.rename)
        if step.call is not None:
            update["call"] = step.call._replace(values={**step.call.values, **self._inputs(step.call)})
        if step.validators:
            update["gate"] = tuple(self._gates(step))
        return replace(step, **update)

    def _inputs(self, call: Call) -> dict[str, str]:
        """Return the inputs of a call that are agents; not those that an input of the caller gives."""
        given = ((name, call.values.get(name, call.inputs[name].default)) for name in call.agents)
        return {name: self.agent(value) for name, value in given if value is not None and not written_names(value)}

    def _gates(self, step: Step) -> Iterator[GateSpec]:
        validators = iter(step.validators)
        for gate in step.gate:
            call = next(validators).call if gate.name == VALIDATE_GATE else None
            if call is None or gate.options is None:
                yield gate
                continue
            agents = self._inputs(call)
            inputs = tuple((name, agents.get(name, text)) for name, text in gate.options.inputs)
            yield replace(gate, options=replace(gate.options, inputs=inputs))


def override_agents(workflow: Workflow, override: AgentOverride) -> Workflow:
    """Replace agents of a workflow.

    Raises:
        ConfigError: No step uses an agent that the override replaces.
    """
    if not any(override):
        return workflow
    known = set(agents_of(workflow))
    for old in override.renamed:
        if old not in known:
            raise ConfigError(
                f"--gump-agent: no step uses agent {old!r}", hint=f"agents of the workflow: {', '.join(sorted(known))}"
            )
    return replace(workflow, steps=tuple(map(override.step, workflow.steps)))


def pause_after(workflow: Workflow, name: str) -> Workflow:
    """Let a person approve the work of a step, given by its path or the end of it, before its gates run.

    Raises:
        ConfigError: No step or several steps match, or the step is an approval itself.
    """
    paths = [path for path, _ in iter_steps(workflow.steps) if VALIDATE not in "::".join(path)]
    ending = [path for path in paths if f"::{'::'.join(path)}".endswith(f"::{name}")]
    found = [path for path in ending if "::".join(path) == name] or ending
    if len(found) != 1:
        listed = ", ".join("::".join(path) for path in found or paths)
        problem = f"several steps are named {name!r}" if found else f"no step is named {name!r}"
        raise ConfigError(f"--gump-pause-after: {problem}", hint=f"steps: {listed}")

    def change(steps: Sequence[Step], above: tuple[str, ...]) -> tuple[Step, ...]:
        return tuple(change_one(step, (*above, step.name)) for step in steps)

    def change_one(step: Step, path: tuple[str, ...]) -> Step:
        if path == found[0] and step.kind == "approve":
            raise ConfigError(f"--gump-pause-after: {name!r} is an approval step", hint="leave the option out")
        hitl = "before_gate" if path == found[0] else step.hitl
        return replace(step, hitl=hitl, steps=change(step.steps, path))

    return replace(workflow, steps=change(workflow.steps, ()))


def _map_policies(on_failure: OnFailure, rename: Callable[[str], str]) -> OnFailure:
    def map_policy(policy: Policy | None) -> Policy | None:
        if policy is None:
            return None
        strategy = tuple(
            entry if entry.agent is None else replace(entry, agent=rename(entry.agent)) for entry in policy.strategy
        )
        rules = tuple(rule if rule.agent is None else rule._replace(agent=rename(rule.agent)) for rule in policy.rules)
        return replace(policy, strategy=strategy, rules=rules)

    return replace(on_failure, **{key.name: map_policy(getattr(on_failure, key.name)) for key in fields(on_failure)})


def agents_of(workflow: Workflow) -> Iterator[str]:
    """Yield every agent name that the workflow can start, escalations and replans included, with duplicates."""
    for step in walk(workflow.steps):
        yield from agents_of_step(step)


def agents_of_step(step: Step) -> Iterator[str]:
    yield from step.first_agents
    if step.on_failure is not None:
        yield from (agent for policy in step.on_failure.policies for agent in policy.agents)


def packages_of(workflow: Workflow) -> list[Package]:
    """Return the installed packages that define the workflow and those that it calls, each once."""
    calls = (step.call for step in walk(workflow.steps) if step.call is not None)
    packages = (workflow.package, *(call.package for call in calls))
    return [*dict.fromkeys(package for package in packages if package is not None)]


def walk(steps: Sequence[Step]) -> Iterator[Step]:
    """Return all steps and groups, in declaration order, parents first."""
    return (step for _, step in iter_steps(steps))


def leaves(steps: Sequence[Step]) -> Iterator[tuple[str, Step]]:
    """Return the static path and the step of every leaf, in declaration order; not the steps of validators."""
    for names, step in iter_steps(steps):
        path = "::".join(names)
        if step.kind != "group" and VALIDATE not in path:
            yield path, step


def foreach_groups(steps: Sequence[Step]) -> Iterator[str]:
    """Return the static paths of the groups that run once for each plan item."""
    return ("::".join(names) for names, step in iter_steps(steps) if step.foreach)


def plan_steps(workflow: Workflow, scopes: Scopes) -> dict[str, str]:
    """Return the static path of the plan step of each group that runs once for each plan item, by that of the group."""
    groups = ((names, step.foreach) for names, step in iter_steps(workflow.steps) if step.foreach)
    return {"::".join(names): "::".join(scopes.resolve(names, plan)) for names, plan in groups}


def select(workflow: Workflow, wanted: Collection[str]) -> Workflow:
    """Keep only the leaves in `wanted` (static paths).

    The merges and the own gates of a group are kept if all of its leaves are kept.

    Raises:
        ConfigError: `wanted` leaves out an earlier leaf. Every step builds on the tree of the steps before it.
    """
    order = [path for path, _ in leaves(workflow.steps)]
    places = [order.index(path) for path in wanted if path in order]
    for path in () if places else wanted:  # only merges or a group's gates are named
        if path not in order:
            inside = path.rpartition("::")[0] + "::"
            places += [position for position, path in enumerate(order) if path.startswith(inside)]
    last = max(places, default=-1)
    missing = [path for path in order[: last + 1] if path not in wanted]
    if missing:
        raise ConfigError(
            f"the selection leaves out {missing[0]!r}, which {order[last]!r} builds on",
            hint="select every step up to the last selected one",
        )
    keep = set(order[: last + 1])
    if len(keep) == len(order):
        return workflow

    def prune(steps: Sequence[Step], prefix: tuple[str, ...]) -> tuple[Step, ...]:
        kept: list[Step] = []
        for step in steps:
            names = (*prefix, step.name)
            if step.kind == "group":
                children = prune(step.steps, names)
                if children:
                    is_whole = len(children) == len(step.steps)
                    kept.append(replace(step if is_whole else replace(step, gate=(), validators=()), steps=children))
            elif "::".join(names) in keep:
                kept.append(step)
        return tuple(kept)

    return replace(workflow, steps=prune(workflow.steps, ()))
