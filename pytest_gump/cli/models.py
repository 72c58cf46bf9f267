"""`gump models`: list agent names with their models and prices."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from pytest_gump.agents import prices, registry
from pytest_gump.agents.usage import Tokens
from pytest_gump.cli.command import add_command, add_json
from pytest_gump.cli.effective import effective
from pytest_gump.cli.runs import project_root
from pytest_gump.errors import AgentError
from pytest_gump.text import listed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from pytest_gump.agents.base import Agent
    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.output import Out

HEAD = ("agent", "CLI", "model", "window", "input", "output")
COLUMNS = 80
"""Width of the lines below the table."""
NUMBERS = ("window", "input", "output")


@dataclass(frozen=True, slots=True)
class Row:
    """One agent name. Prices are dollars per million tokens, `context` is in tokens. None is unknown."""

    agent: str
    cli: str
    model: str | None
    """None if the CLI chooses the model."""
    context: int | None
    input: float | None
    output: float | None
    cache_read: float | None
    cache_write: float | None
    cost: str
    """Source of an attempt's cost: `reported` by the CLI, `estimated` with these prices, or `unknown`."""
    price_source: str | None
    """Source of the price: `gump_prices`, or table and version, with the table's name of the model if different."""
    no_price: str | None
    """Why there is no price; None if there is one."""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "models",
        description="List the agent names that a workflow can use, including those of gump_agents. Show the CLI and "
        "model of each, the context window, and the prices in dollars per million tokens.",
        examples="  gump models\n  gump models codex\n  gump models --json",
        execute=execute,
    )
    parser.add_argument("word", nargs="?", default="", metavar="WORD", help="list only names that contain WORD")
    add_json(parser)


def execute(arguments: argparse.Namespace, out: Out) -> int:
    settings = effective(project_root()).settings
    prices.use(settings.own_prices)
    own = settings.agent_names
    names = [name for name in dict.fromkeys([*own, *registry.known(own)]) if arguments.word in name]
    rows = [_row(name, registry.resolve(name, own)) for name in names]
    if not rows:
        raise AgentError(f"no agent name contains {arguments.word!r}", hint="gump models lists all names")
    if arguments.json:
        table = {"schema": 1, "prices": prices.table_version(), "agents": [asdict(row) for row in rows]}
        out.json(table)
        return 0
    out.table(HEAD, [tuple(_cells(row)) for row in rows], right=NUMBERS, wrapped=("model",))
    out.line()
    _explain(rows, out)
    return 0


def _explain(rows: Sequence[Row], out: Out) -> None:
    """Write the lines below the table. Each fits into 80 columns for the built-in names."""
    out.text(f"prices: dollars per million tokens, {prices.table_version()}; --json adds cache prices")
    out.text("long contexts can cost more than these prices")
    for source in dict.fromkeys(row.price_source for row in rows if row.price_source):
        model = source.removeprefix(prices.table_version()).removeprefix(", ")
        if model:
            agents = ", ".join(row.agent for row in rows if row.price_source == source)
            out.text(f"{agents}: {'price from' if model == source else 'priced as'} {model}")
    for reason in dict.fromkeys(row.no_price for row in rows if row.no_price):
        agents = ", ".join(row.agent for row in rows if row.no_price == reason)
        out.text("\n".join(textwrap.wrap(f"no price ({reason}): {agents}", COLUMNS, subsequent_indent="  ")))
    if reporting := dict.fromkeys(row.cli for row in rows if row.cost == "reported"):
        out.text(f"the cost of an attempt is reported by {listed([*reporting])}")
    if any(row.cost != "reported" for row in rows):
        out.text("other costs are estimated from these prices, and unknown without a price")
        out.text("gump_prices sets a price of your own")
    out.text("CLI:MODEL names any other model; without a model or version, the CLI chooses")


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
        registry.why_unpriced(agent) if dollars["input"] is None else None,
    )


def _cells(row: Row) -> Iterator[str]:
    """Yield the cells of a row. The CLI is shown only if the name does not start with it."""
    yield from (row.agent, "" if row.agent.startswith(row.cli) else row.cli, row.model or "-")
    yield "-" if row.context is None else f"{row.context // 1000}k"
    for dollars in (row.input, row.output):
        yield "-" if dollars is None else max(f"{dollars:.2f}", f"{dollars:.4f}".rstrip("0"), key=len)
