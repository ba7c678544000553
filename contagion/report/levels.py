"""The table of a liquidation map: a line for each price level, the highest on top, today's price between rises and falls.

Amounts are the coin's positions that are liquidated there and the coins sold with them, by exchange and in all; the last column
is the local multiplier 1/(1 − κρ), ∞ where the move feeds itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from contagion.report.page import WIDTH, Page, percent, quote, three, usd, whole

if TYPE_CHECKING:
    import pandas as pd

    from contagion.report.page import Segment
    from contagion.search.levels import LiquidationMap

NAMED: Final = 5
"""Exchanges with a column of their own; the smallest share one if there are more."""
OTHERS: Final = "the rest"
_MOVE, _PRICE, _AMOUNT, _FACTOR = -8, -10, -8, -8
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"


def lay_out_levels(found: LiquidationMap) -> Page:
    """Page of a liquidation map.

    Examples
    --------
    >>> from contagion.search.levels import levels
    >>> from graphs.toys import one_book_ladder
    >>> page = lay_out_levels(levels(one_book_ladder(), "COIN", lowest=-0.04, highest=0.0, steps=2))
    >>> print(page.text().splitlines()[0])
    Map         COIN on one_book_ladder, today at 100.00: what is liquidated at which price
    """
    said = found.summary()
    page = Page()
    page.paragraph("Map", f"{found.asset} on {found.network}, today at {quote(found.price)}: what is liquidated at which price")
    ends = (("Below", "below", f"down to {percent(said['lowest'])}"), ("Above", "above", f"up to {percent(said['highest'], sign=True)}"))
    for label, key, range_ in ends:
        if len(found.path[(found.path["change"] < 0) == (key == "below")]):
            page.paragraph(label, _half(said[key], found.asset, range_))
    page.paragraph("Accounts", _counts(said["accounts"], found.asset))
    page.paragraph("Claim", f"{said['claim']}: {said['note']}", "dim")
    page.add()
    _table(page, found)
    return page


def _half(half: dict[str, Any], asset: str, range_: str) -> str:
    """One direction in words."""
    if not half["accounts"]:
        return f"nobody is liquidated {range_}"
    number = "1 account" if half["accounts"] == 1 else f"{half['accounts']:,} accounts"
    parts = [f"{usd(half['notional_usd'])} of {asset} in {number} {range_}"]
    if half["coins_usd"]:
        parts.append(f"{usd(half['coins_usd'])} of {asset} held as collateral sold against their debts")
    if half["other_usd"]:
        parts.append(f"{usd(half['other_usd'])} of other coins closed or sold with them")
    highest, loop = half["highest"], half["feeds_itself_from"]
    if loop is not None:
        parts.append(f"a move feeds itself from {percent(loop, sign=True)} on")
    elif highest["kappa_rho"] > 0:
        parts.append(f"local multiplier at most {three(highest['multiplier'])}, at {percent(highest['change'], sign=True)}")
    return "; ".join(whole(part) if len(part) < WIDTH // 2 else part for part in parts)


def _counts(counts: dict[str, int], asset: str) -> str:
    text = f"{counts['exposed']:,} with {asset}: {counts['on_the_map']:,} on the map, {counts['beyond']:,} breach beyond it"
    text += f", {counts['never']:,} at no price of {asset} alone"
    return text + (f", {counts['in_breach']:,} are in breach already" if counts["in_breach"] else "")


def _table(page: Page, found: LiquidationMap) -> None:
    """Levels from the highest price that matters to the lowest."""
    amounts = _by_exchange(found)
    path = found.path
    struck = path["accounts"].to_numpy().nonzero()[0]
    if not struck.size:
        return
    below = int((path["change"] < 0).sum())
    first, last = min(int(struck[0]), below), max(int(struck[-1]), below - 1)
    columns = [("move to", _MOVE), ("price", _PRICE), *((name, _AMOUNT) for name in amounts), ("all", _AMOUNT)]
    room = WIDTH - sum(abs(width) + 1 for _, width in columns) - abs(_FACTOR) - 1
    columns += [("", room), ("1/(1−κρ)", _FACTOR)]
    most = float(path["liquidated_usd"].max())
    blank: list[Segment] = [("", "")] * len(amounts)
    today = [("today", "bold"), (quote(found.price), "bold"), *blank, ("", ""), ("─" * room, "dim"), ("", "")]
    rows: list[list[Segment]] = []
    for level in range(last, first - 1, -1):
        if level == below - 1:
            rows.append(today)
        line = path.iloc[level]
        total, style = float(line["liquidated_usd"]), "green" if level >= below else "red"
        cells = [(_amount(float(values.iloc[level])), "") for values in amounts.values()]
        loops = line["kappa_rho"] >= 1
        rows.append(
            [
                (percent(line["change"], sign=True), ""),
                (quote(line["price"]), ""),
                *cells,
                (_amount(total), "bold"),
                (bar(total / most, room), style),
                ("∞" if loops else three(line["multiplier"]), "bold red" if loops else "dim"),
            ]
        )
    if first == below:
        rows.append(today)
    page.table(columns, rows)


def _by_exchange(found: LiquidationMap) -> dict[str, pd.Series[float]]:
    """USD by level of the exchanges that have most, the largest first, then of the others."""
    cells = found.frame.assign(usd=found.frame["notional_usd"] + found.frame["coins_usd"])
    table = cells.pivot_table(index="change", columns="exchange", values="usd", aggfunc="sum")
    totals = table.sum()
    ranked = sorted((name for name in table.columns if totals[name] > 0), key=lambda name: (-totals[name], name))
    named = ranked if len(ranked) <= NAMED else ranked[: NAMED - 1]
    columns = {str(name): table[name] for name in named}
    if len(named) < len(ranked):
        columns[OTHERS] = table[ranked[NAMED - 1 :]].sum(axis=1)
    return columns


def _amount(value: float) -> str:
    return usd(value) if value else "·"


def bar(share: float, width: int) -> str:
    """A bar of so many columns at a share of one, in eighths of a column; what is not nothing shows.

    Examples
    --------
    >>> bar(0.5, 5), bar(1e-9, 5), bar(0.0, 5)
    ('██▌', '▏', '')
    """
    eighths = round(8 * width * min(max(share, 0.0), 1.0))
    if share > 0:
        eighths = max(eighths, 1)
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")
