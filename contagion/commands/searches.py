"""Commands that search: sweep, critical, triggers, reverse, sample, rank, compare, levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from contagion.commands.base import command, json_option, network_argument, note, overwrite_option, print_json, size_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WHAT = ("accounts", "seed", "settings", "given", "policies", "risk", "traders")
"""Options that say what is asked of which network."""
WHERE = ("workers", "scheduler", "out", "resume", "overwrite", "as_json")
"""Options that say where the work is done and where its answer goes."""


def search_options(function: Callable[..., None]) -> Callable[..., None]:
    """Options of every search."""
    for option in reversed(
        (
            click.option(
                "--settings", multiple=True, metavar="NAME=VALUE", help="Such as impact=linear or system_wide.depeg=0.9. Repeat it."
            ),
            click.option("--given", multiple=True, metavar="SHOCK", help="A shock that is part of every run. Repeat it."),
            click.option(
                "--policy", "policies", multiple=True, help="Rules in force from before the shock: a TOML file, or an edit. Repeat it."
            ),
            click.option("--risk", type=click.Path(), help="TOML file with what is assumed of how prices, pegs and depth move."),
            click.option("--traders", type=click.IntRange(min=0), help="How many of the largest traders may default."),
            click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes on this machine."),
            click.option("--scheduler", default="", help="Dask: tcp://host:8786, or local to start a cluster of --workers here."),
            click.option("-o", "--out", type=click.Path(), help="Directory for the answer: question, tables, what is printed."),
            click.option("--resume", is_flag=True, help="Go on with a search into --out that was interrupted."),
            overwrite_option,
            json_option,
        )
    ):
        function = option(function)
    return size_options(network_argument(function))


driver_option = click.option(
    "--driver", "drivers", multiple=True, metavar="DRIVER", help="Only this, such as BTC or depth:Binance. Repeat it."
)
draws_seed_option = click.option("--draws-seed", "draws_seed", type=int, default=0, show_default=True, help="Seed of the draws.")


def _ask(search: str, network: str, options: dict[str, Any], **arguments: Any) -> Any:  # noqa: ANN401 an answer of the search
    """Ask, print, and write where a directory is named."""
    from contagion.search.folder import ask_and_keep

    what, where = ({name: options[name] for name in names} for names in (WHAT, WHERE))
    found = ask_and_keep(search, network, arguments=arguments, **what, **where)
    if where["as_json"]:
        print_json(found.answer.summary())
    else:
        found.page.show()
    if where["out"] is not None:
        note(f"written to {where['out']}")
    return found.answer


@command(
    examples=[
        "contagion sweep one_book_ladder --asset COIN --from 0% --to -10%",
        "contagion sweep two_exchange_stablecoin --driver peg:USDX@Thin --to 50% --steps 11 --json",
        "contagion sweep two_exchange_stablecoin --lever haircut:USDX --from 5% --to 50% --steps 4 --shock BTC=-15%",
    ]
)
@search_options
@click.option("--asset", help="Coin whose price falls.")
@click.option("--driver", help="Another driver: peg:USDe@Binance, depth:Binance, depth:*.")
@click.option("--lever", help="A rule instead, under a --shock that stays the same: haircut:USDe, leverage_cap, fund:Binance.")
@click.option("--shock", "shocks", multiple=True, help="With --lever, the shock. Repeat it.")
@click.option("--from", "low", default="0%", show_default=True, help="Smallest move, such as 0%; with --lever the first value.")
@click.option("--to", "high", help="Largest move, such as -40%; of a peg or of depth the part that is lost.")
@click.option("--steps", type=click.IntRange(min=2), default=41, show_default=True, help="Sizes that are run.")
@click.option("--picture", type=click.Path(), help="Draw the curve as .svg or .png.")
def sweep(
    network: str,
    *,
    asset: str | None,
    driver: str | None,
    lever: str | None,
    shocks: Sequence[str],
    low: str,
    high: str | None,
    steps: int,
    picture: str | None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Run one driver at growing sizes, or one shock under growing values of a rule: the curve, and where it jumps."""
    from contagion.search.sizes import parse_range, parse_values

    named = [name for name in (asset, driver, lever) if name is not None]
    if len(named) != 1:
        raise click.UsageError("name what moves: --asset BTC, --driver depth:Binance, or --lever haircut:USDe")
    if (lever is None) == bool(shocks) or (lever and (high is None or picture)):
        raise click.UsageError("--lever goes with --shock, --from and --to, and has no --picture")
    if lever is not None:
        _ask("lever", network, options, lever=lever, shocks=shocks, values=parse_values(low, high or low, steps))
        return
    found = _ask("sweep", network, options, driver=named[0], steps=steps, **parse_range(low, high))
    if picture is not None:
        from contagion.pictures.searches import draw_sweep

        draw_sweep(found, picture)
        note(f"written to {picture}")


@command(examples=["contagion critical one_book_ladder", "contagion critical two_exchange_stablecoin --driver BTC --json"])
@search_options
@driver_option
@click.option("--rises", is_flag=True, help="Ask for rising prices too.")
@click.option(
    "--tolerance", type=float, default=1e-3, show_default=True, help="To which edges are bisected, relative; 0 is as far as it goes."
)
@click.option("--scan", type=int, default=16, show_default=True, help="Sizes that are run where nothing is proven.")
@click.option("--conditions", default="abcd", show_default=True, help="Which of the four conditions count.")
def critical(network: str, *, drivers: Sequence[str], rises: bool, tolerance: float, scan: int, conditions: str, **options: Any) -> None:  # noqa: ANN401
    """For every driver the smallest shock that triggers a system-wide cascade, the most plausible first."""
    _ask("critical", network, options, drivers=drivers, rises=rises, tolerance=tolerance, scan=scan, conditions=conditions)


@command(examples=["contagion triggers two_exchange_stablecoin --max-size 2", "contagion triggers one_book_ladder --sigmas 1 --json"])
@search_options
@click.option("--max-size", type=click.IntRange(min=1), default=2, show_default=True, help="Complete over sets of up to so many.")
@click.option(
    "--greedy", type=click.IntRange(min=0), default=0, show_default=True, help="Starts from which larger sets are grown greedily."
)
@click.option(
    "--exchange", type=click.Choice(["default", "outage", "both"]), default="default", show_default=True, help="What exchanges do."
)
@click.option("--sigmas", type=float, default=3.0, show_default=True, help="Standard deviations by which each asset falls.")
@click.option("--peg", type=float, default=0.9, show_default=True, help="Price over peg at which each stablecoin is set.")
@click.option("--picture", type=click.Path(), help="Draw pairs as a heat map, .svg or .png.")
def triggers(network: str, *, picture: str | None, **options: Any) -> None:  # noqa: ANN401
    """Find the minimal trigger sets: what starts a system-wide cascade together, and no part of it does."""
    found = _ask("triggers", network, options, **{name: value for name, value in options.items() if name not in {*WHAT, *WHERE}})
    if picture is not None:
        from contagion.pictures.searches import draw_triggers

        draw_triggers(found, picture)
        note(f"written to {picture}")


@command(
    examples=[
        "contagion reverse one_book_ladder",
        "contagion reverse two_exchange_stablecoin --driver BTC --driver depth:Thin --starts 2 --json",
    ]
)
@search_options
@driver_option
@click.option(
    "--starts", type=click.IntRange(min=1), default=6, show_default=True, help="From how many starts a nearest trigger is sought."
)
@click.option("--reach", type=float, default=12.0, show_default=True, help="Largest distance, in standard deviations.")
@click.option("--tolerance", type=float, default=1e-6, show_default=True, help="Relative width of the bracket on each ray.")
def reverse(network: str, *, drivers: Sequence[str], starts: int, reach: float, tolerance: float, **options: Any) -> None:  # noqa: ANN401
    """Find the most plausible joint shocks of all drivers that trigger."""
    _ask("reverse", network, options, drivers=drivers, starts=starts, reach=reach, tolerance=tolerance)


@command(
    examples=[
        "contagion sample one_book_ladder -n 200",
        "contagion sample two_exchange_stablecoin -n 50 --json",
        "contagion sample one_book_ladder --rare --size 50 --replicates 2",
    ]
)
@search_options
@driver_option
@click.option("-n", "draws", type=click.IntRange(min=1), default=10_000, show_default=True, help="Number of draws.")
@draws_seed_option
@click.option("--rare", is_flag=True, help="Split towards the rare event of a system-wide cascade, instead of drawing at random.")
@click.option("--size", type=click.IntRange(min=2), default=500, show_default=True, help="Draws a level, with --rare.")
@click.option("--replicates", type=click.IntRange(min=2), default=8, show_default=True, help="Independent estimates, with --rare.")
def sample(
    network: str,
    *,
    drivers: Sequence[str],
    draws: int,
    draws_seed: int,
    rare: bool,
    size: int,
    replicates: int,
    **options: Any,  # noqa: ANN401
) -> None:
    """Draw random joint shocks: the distribution of losses, and how likely a system-wide cascade is."""
    how = {"size": size, "replicates": replicates} if rare else {"n": draws}
    _ask("rare" if rare else "sample", network, options, drivers=drivers, seed=draws_seed, **how)


@command(examples=["contagion rank interbank_ring -n 20", "contagion rank two_exchange_stablecoin -n 20 --json"])
@search_options
@click.option("-n", "draws", type=click.IntRange(min=1), default=1000, show_default=True, help="Draws from which vulnerability is counted.")
@draws_seed_option
def rank(network: str, *, draws: int, draws_seed: int, **options: Any) -> None:  # noqa: ANN401
    """Rank nodes by impact and by vulnerability, beside their centralities."""
    _ask("rank", network, options, n=draws, seed=draws_seed)


@command(
    examples=[
        "contagion compare two_exchange_stablecoin leverage_cap=5 fund=x4 --shock BTC=-16% --shock depth:*=0.05 --driver BTC -n 20",
        "contagion compare two_exchange_stablecoin --prevent --shock BTC=-16% --shock depth:*=0.05 --lever leverage_cap=20..2 --json",
    ]
)
@search_options
@click.argument("policy", nargs=-1)
@driver_option
@click.option(
    "--shock", "shocks", multiple=True, help="A shock whose cost is split over its bearers; with --prevent the trigger. Repeat it."
)
@click.option("-n", "draws", type=click.IntRange(min=1), default=200, show_default=True, help="Draws of the sample of shocks.")
@draws_seed_option
@click.option("--prevent", "cheapest", is_flag=True, help="Find the cheapest change that makes the trigger harmless.")
@click.option(
    "--lever", "levers", multiple=True, help="With --prevent: an edit, or a rule with its range, such as leverage_cap=50..5. Repeat it."
)
def compare(
    network: str,
    policy: Sequence[str],
    *,
    drivers: Sequence[str],
    shocks: Sequence[str],
    draws: int,
    draws_seed: int,
    cheapest: bool,
    levers: Sequence[str],
    **options: Any,  # noqa: ANN401
) -> None:
    """Compare policies: what each does to critical shocks, to losses, and to who bears them.

    A POLICY is a TOML file, or edits joined by commas, such as leverage_cap=20,haircut:USDe=30%.
    """
    if cheapest:
        if policy or not shocks:
            raise click.UsageError("--prevent takes the trigger as --shock, and --lever instead of policies")
        _ask("prevent", network, options, shocks=shocks, levers=levers)
        return
    if not policy:
        raise click.UsageError("name one policy or more: a TOML file, or edits such as leverage_cap=20")
    named = {text: text.split(",") for text in policy}
    _ask("compare", network, options, policies=named, keys=drivers, shocks=shocks, n=draws, seed=draws_seed)


@command(examples=["contagion levels one_book_ladder --asset COIN", "contagion levels oct2025 --accounts 1000 --asset BTC --json"])
@search_options
@click.option("--asset", required=True, help="Coin whose price moves.")
@click.option("--from", "low", default="-50%", show_default=True, help="Lowest price on the map, as a change.")
@click.option("--to", "high", default="50%", show_default=True, help="Highest price on the map, as a change.")
@click.option("--steps", type=click.IntRange(min=2), default=50, show_default=True, help="Levels of the map.")
@click.option("--picture", type=click.Path(), help="Draw the map as .svg or .png.")
def levels(network: str, *, asset: str, low: str, high: str, steps: int, picture: str | None, **options: Any) -> None:  # noqa: ANN401
    """Map liquidations by price, exchange and side, with the local multiplier along the path."""
    from contagion.search.sizes import parse_change

    found = _ask("levels", network, options, asset=asset, lowest=parse_change(low), highest=parse_change(high), steps=steps)
    if picture is not None:
        from contagion.pictures.liquidation_map import draw_liquidation_map

        draw_liquidation_map(found, picture)
        note(f"written to {picture}")
