"""`gump models`: the agent names, what model each stands for, and what that costs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from pytest_gump.agents import prices, registry
from pytest_gump.agents.usage import Tokens
from pytest_gump.cli.command import add_command, add_json
from pytest_gump.cli.effective import effective
from pytest_gump.cli.runs import project_root
from pytest_gump.errors import AgentError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pytest_gump.agents.base import Agent
    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.output import Out

HEAD = ("agent", "CLI", "model", "context", "input", "output", "cache read", "cache write", "cost")
NUMBERS = ("context", "input", "output", "cache read", "cache write")


@dataclass(frozen=True, slots=True)
class Row:
    """One name; dollars for a million tokens, tokens of the context window. None is unknown."""

    agent: str
    cli: str
    model: str | None
    """None: the CLI's own choice."""
    context: int | None
    input: float | None
    output: float | None
    cache_read: float | None
    cache_write: float | None
    cost: str
    """Where the cost of an attempt comes from: reported by the CLI, estimated by these prices, or unknown."""
    price_source: str | None
    """Source of the price: `gump_prices`, or the table with its version and, if different, its name for the model."""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "models",
        description="List the agent names that a workflow may use, yours of gump_agents included, with the CLI and "
        "the model that each stands for, the model's context window and its price in dollars for a million tokens.",
        examples="  gump models\n  gump models codex\n  gump models --json",
        execute=execute,
    )
    parser.add_argument("word", nargs="?", default="", metavar="WORD", help="only names that hold this word")
    add_json(parser)


def execute(arguments: argparse.Namespace, out: Out) -> int:
    settings = effective(project_root()).settings
    prices.use(settings.own_prices)
    own = settings.agent_names
    names = [name for name in dict.fromkeys([*own, *registry.known(own)]) if arguments.word in name]
    rows = [_row(name, registry.resolve(name, own)) for name in names]
    if not rows:
        raise AgentError(f"no agent name holds {arguments.word!r}", hint="gump models lists them all")
    if arguments.json:
        table = {"schema": 1, "prices": prices.table_version(), "agents": [asdict(row) for row in rows]}
        out.json(table)
        return 0
    out.table(HEAD, [tuple(_cells(row)) for row in rows], right=NUMBERS, optional=("cache write", "cache read", "CLI"))
    out.line()
    out.line(f"dollars for a million tokens, {prices.table_version()}; a longer context may cost more")
    for source in dict.fromkeys(row.price_source for row in rows if row.price_source):
        model = source.removeprefix(prices.table_version()).removeprefix(", ")
        if model:
            agents = ", ".join(row.agent for row in rows if row.price_source == source)
            out.line(f"{agents}: {'price from' if model == source else 'priced as'} {model}")
    out.line("a model without a version, and none at all, is the CLI's choice; CLI:MODEL takes any model")
    return 0


def _row(name: str, agent: Agent) -> Row:
    model: str | None = getattr(agent, "model", None)
    priced: str | None = getattr(agent, "priced_as", None)
    source = prices.source(priced)
    kinds = {"input": Tokens(1000), "output": Tokens(output=1000), "read": Tokens(cache_read=1000)}
    kinds["write"] = Tokens(cache_write=1000)
    costs = {kind: prices.estimate(priced, tokens) for kind, tokens in kinds.items()}
    dollars = {kind: None if cost is None else round(cost * 1000, 4) for kind, cost in costs.items()}
    window = prices.context_window(priced)
    return Row(
        name,
        agent.cli,
        model,
        window,
        dollars["input"],
        dollars["output"],
        dollars["read"],
        dollars["write"],
        agent.cost,
        source if priced in {model, agent.cli} else source and f"{source}, {priced}",
    )


def _cells(row: Row) -> Iterator[str]:
    yield from (row.agent, row.cli, row.model or "-")
    yield "-" if row.context is None else f"{row.context // 1000}k"
    for dollars in (row.input, row.output, row.cache_read, row.cache_write):
        yield "-" if dollars is None else max(f"{dollars:.2f}", f"{dollars:.4f}".rstrip("0"), key=len)
    yield row.cost
