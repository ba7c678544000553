# ruff: noqa: ANN401 - a market is a tuple of names
"""The steps of a round for the oracle: who trades, at what price, and who pays."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.contagion.oracle import Account, Oracle

K = -math.log(0.99)
TINY = 1e-6
DEBT = -1e-7  # down to this, rounding of floats leaves no debt
CLOSING = ("liquidating", "defaulted")


def take_round(run: Oracle) -> None:
    run.set_prices()
    run.revalue()
    run.clear()
    for name, equity in run.node_equity.items():
        if equity < -TINY and name not in run.failed:
            run.failed[name] = run.round
            run.stirred = True
    positions, coins, bankrupt = triggers(run)
    touched = execute(run, positions, coins)
    spent: dict[str, float] = defaultdict(float)
    for x, fee in run.fees.items():
        spent[x] -= fee
    deleverage(run, bankrupt)
    waterfall(run, [*touched, *bankrupt, *run.watch], spent)
    for x in run.rule:
        if x not in run.failed and run.node_equity[x] - spent[x] < -TINY:
            run.failed[x] = run.round
        if x in run.failed and x not in run.settled:
            settle(run, x)
    run.set_values()


def triggers(run: Oracle) -> tuple[list[Any], list[Any], list[Account]]:
    """Steps 4 and 5: (kind, account, market, signed units), (account, market, units sold), and who waits for ADL."""
    for account in run.accounts:
        if run.failed.get(account.owner, run.round) < run.round and account.status in ("open", "liquidating"):
            account.status = "defaulted"
    breached = [
        a
        for a in run.accounts
        if a.status == "open"
        and (a.gross > 0 or a.b < DEBT)
        and a.margin <= a.need + 1e-12 * a.gross
        and a.exchange not in run.failed
        and not run.rule[a.exchange]["outage"]
    ]
    breached = top_up(run, breached)
    candidates = [a for a in breached if not a.flat()] + [a for a in run.accounts if a.status == "liquidating" and not a.flat()]
    bankrupt = uncovered(run, candidates)
    orders: list[Any] = []
    busy = set()
    for account in candidates:
        if account in bankrupt:
            account.status = "liquidating"
            continue
        rule = run.rule[account.exchange]["liquidation"] if account.status == "open" else "full"
        if rule == "full":
            account.status = "liquidating"
        share = target_share(run, account) if rule == "target" else 0.0
        for market, (q, _) in account.positions.items():
            units = abs(q) * share if rule == "target" else closed_units(run, account, market, rule)
            if units:
                orders.append(("liquidation", account, market, -math.copysign(units, q)))
        busy.add(id(account))
    orders += other_closes(run, busy)
    indebted = [a for a in breached if a.flat() and a.b < DEBT]
    for account in indebted:
        account.status = "liquidating"
    return orders, coin_sales(run, indebted + run.watch), bankrupt


def other_closes(run: Oracle, busy: set[int]) -> list[Any]:
    """Positions of failed owners, and those whose mark has crossed the owner's own level."""
    orders = []
    for account in run.accounts:
        for market, (q, _) in account.positions.items():
            stop, goal = account.levels[market]
            mark, side = run.mark[market], 1 if q > 0 else -1
            if q and account.status == "defaulted":
                orders.append(("default_close", account, market, -q))
            elif q and account.status == "open" and id(account) not in busy and (side * mark <= side * stop or side * mark >= side * goal):
                orders.append(("stop", account, market, -q))
    return orders


def coin_sales(run: Oracle, indebted: list[Account]) -> list[Any]:
    """Coins worth each debt at mid, pro rata to value."""
    sales = []
    for account in {id(a): a for a in indebted}.values():
        able = {m: q for m, q in account.coins.items() if q > 0 and is_open(run, m)}
        total = sum(q * run.price[m] for m, q in able.items())
        sales += [(account, m, q * min(1.0, -account.b / total)) for m, q in able.items() if total]
    return sales


def top_up(run: Oracle, breached: list[Account]) -> list[Account]:
    need: dict[int, float] = {}
    for a in breached:
        purse = min(run.purse.get(a.owner, 0.0), max(run.cash[a.owner], 0.0))
        if purse > 0 and a.gross > 0 and run.rule[a.exchange]["transfers_open"] and a.owner not in run.failed:
            sizes = {m: abs(q) * run.mark[m] for m, (q, _) in a.positions.items() if q and run.tiers.get(m)}
            initial = sum(size / run.bracket(m, size)["max_leverage"] for m, size in sizes.items())
            need[id(a)] = max(initial, a.need + 2e-12 * a.gross + 1e-8) - a.margin
    sent = {}
    for a in breached:
        if id(a) in need:
            total = sum(need[id(other)] for other in breached if id(other) in need and other.owner == a.owner)
            purse = min(run.purse[a.owner], max(run.cash[a.owner], 0.0))
            usd = need[id(a)] * min(1.0, purse / total)
            if a.margin + usd > a.need + 1e-12 * a.gross:
                sent[id(a)] = usd
    for a in breached:
        usd = sent.get(id(a), 0.0)
        if usd:
            run.purse[a.owner] -= usd
            run.cash[a.owner] -= usd
            a.b, a.margin, a.equity = a.b + usd, a.margin + usd, a.equity + usd
            run.stirred = True
    return [a for a in breached if id(a) not in sent]


def uncovered(run: Oracle, candidates: list[Account]) -> list[Account]:
    found = []
    for x, rule in run.rule.items():
        if rule["loss_rule"] == "adl" and rule["adl_form"] == "position":
            here = [a for a in candidates if a.exchange == x and a.equity < 0 and not a.to_book]
            found += [a for a in here if sum(-o.equity for o in here if -o.equity <= -a.equity) > run.fund[x]]
    return found


def closed_units(run: Oracle, account: Account, market: Any, rule: str) -> float:
    size, columns = abs(account.positions[market][0]), run.rule[account.exchange]
    notional = size * run.mark[market]
    if rule == "slice" and notional > columns["slice_above"]:
        return size * columns["slice_fraction"]
    if rule == "tier" and size and (row := run.bracket(market, notional)) and row["floor"] > 0:
        return min(size, (notional - row["floor"]) / run.mark[market] + 1e-12 * size)
    return size


def target_share(run: Oracle, account: Account) -> float:
    columns = run.rule[account.exchange]
    sizes = {m: abs(q) * run.mark[m] for m, (q, _) in account.positions.items() if q}

    def restored(share: float) -> bool:
        need = sum(run.maintenance(m, size * (1 - share)) for m, size in sizes.items())
        after = account.margin - columns["liquidation_fee"] * share * account.gross
        return after >= columns["target_ratio"] * need and after > need

    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if restored(middle) else (middle, high)
    return high


def is_open(run: Oracle, market: Any) -> bool:
    return market[0] not in run.failed and not run.rule[market[0]]["outage"] and run.halted[market] <= run.round


def execute(run: Oracle, orders: list[Any], sales: list[Any]) -> list[Account]:
    """Step 6: opposite orders net and all fill at the volume-weighted price of the net order."""
    net: dict[Any, float] = defaultdict(float)
    orders, sales = [o for o in orders if is_open(run, o[2])], [s for s in sales if is_open(run, s[1])]
    for _, _, market, units in orders:
        net[market] += units
    for _, market, units in sales:
        net[market] -= units
    average, after = {}, {}
    for market, q in net.items():
        gone = sum(share for maker, key, share in run.makers if key == market and maker in run.failed)
        factor = run.factor[market] * (1 - min(gone, 1.0)) * math.exp(-run.withdrawal * run.moved_most[market])
        after[market], average[market] = filled(run, market, q, run.depth[market] * max(factor, 0.01))
    run.fees = defaultdict(float)
    paid: dict[Any, float] = defaultdict(float)
    for kind, account, market, units in orders:
        held = account.positions[market]
        held[0] = 0.0 if units == -held[0] else held[0] + units
        usd = units * average[market]
        account.b -= usd
        run.contracts[market] -= units
        run.till[market] += usd
        run.stirred = True
        if kind != "stop":
            paid[id(account)] += abs(usd)
            run.liquidated.add((account.owner, account.exchange))
    charge_fees(run, paid)
    for account, market, units in sales:
        account.coins[market] = 0.0 if units >= account.coins[market] else account.coins[market] - units
        account.b += units * average[market]
        run.stock[market] += units
        run.till[market] -= units * average[market]
        run.stirred = True
    for market, q in net.items():
        run.price[market] = after[market] if q else run.price[market]
    stop_markets(run)
    return list({id(a): a for a in [o[1] for o in orders] + [s[0] for s in sales]}.values())


def charge_fees(run: Oracle, paid: dict[int, float]) -> None:
    """Take fees to the fund, at most the equity that is left."""
    for account in run.accounts:
        if paid[id(account)]:
            x = account.exchange
            fee = min(run.rule[x]["liquidation_fee"] * paid[id(account)], max(run.equity_of(account), 0.0))
            account.b -= fee
            run.fund[x] += fee
            run.fees[x] += fee


def stop_markets(run: Oracle) -> None:
    """Keep the largest moves; beyond its band a market stops."""
    for market, book in run.book.items():
        run.moved_most[market] = max(run.moved_most[market], abs(math.log(max(run.price[market] / book["price"], 1e-300))))
        band = book["price_band"]
        if band is not None and run.base[market] and abs(run.price[market] / run.base[market] - 1) > band and is_open(run, market):
            run.halted[market] = run.round + int(run.rule[market[0]]["halt_rounds"]) + 1
            run.base[market] = run.price[market]


def filled(run: Oracle, market: Any, q: float, depth: float) -> tuple[float, float]:
    """Price after and average price."""
    price, start = run.price[market], run.book[market]["price"]
    if q == 0:
        return price, price
    if run.impact == "exponential":
        k = K / depth
        return price * math.exp(k * q), price * math.expm1(k * q) / (k * q)
    power = 1.0 if run.impact == "linear" else 0.5
    move = 0.01 * start * (abs(q) / depth) ** power
    if q > 0 or move <= price:
        return price + math.copysign(move, q), price + math.copysign(move, q) / (1 + power)
    reach = (price / move) ** (1 / power)
    return 0.0, reach * price * (1 - 1 / (1 + power))


def ranked(run: Oracle, market: Any, side: int, excluded: list[Account]) -> list[list[Account]]:
    """Winners on one side of a market, best first, equal ones together."""
    found: dict[Any, list[Account]] = {}
    for a in run.accounts:
        q, entry = a.positions.get(market, (0.0, 0.0))
        profit = q * (run.mark[market] - entry)
        if q * side > 0 and profit > 0 and a.status == "open" and a.equity > 0 and a not in excluded:
            leverage = abs(q) * run.mark[market] / a.equity
            score = {
                "profit_leverage": profit / (abs(q) * entry) * leverage,
                "mark_leverage": run.mark[market] / entry * leverage,
                "profit_equity": profit / a.equity,
                "size": abs(q),
            }[run.rule[a.exchange]["adl_rank"]]
            found.setdefault((-float(f"{score:.9g}"), a.order[market]), []).append(a)
    return [found[key] for key in sorted(found)]


def allot(ties: list[list[Account]], wanted: float, most: dict[int, float]) -> dict[int, float]:
    """Take from the ranked, pro rata within a tie."""
    taken: dict[int, float] = {}
    for tie in ties:
        have = sum(most[id(a)] for a in tie)
        part = min(1.0, wanted / have) if have else 0.0
        taken |= {id(a): most[id(a)] * part for a in tie}
        wanted -= part * have
        if wanted <= 0:
            break
    return taken


def deleverage(run: Oracle, bankrupt: list[Account]) -> None:
    """ADL by position: off book, at the exchange's price."""
    groups: dict[Any, list[Account]] = defaultdict(list)
    for a in bankrupt:
        for market, (q, _) in a.positions.items():
            if q and market[2] == "perp":
                groups[market, 1 if q > 0 else -1].append(a)
    moves = []
    for (market, side), losers in groups.items():
        ties = ranked(run, market, -side, bankrupt)
        most = {id(a): abs(a.positions[market][0]) for tie in ties for a in tie}
        wanted = sum(abs(a.positions[market][0]) for a in losers)
        given = allot(ties, wanted, most)
        matched = min(sum(given.values()), wanted)
        mark, rule = run.mark[market], run.rule[market[0]]["adl_price"]
        price = {}
        for a in losers:
            q = a.positions[market][0]
            share = abs(q) * mark / a.gross if a.gross else abs(q) / sum(abs(held[0]) for held in a.positions.values())
            own = mark - a.equity * share / q
            price[id(a)] = {"bankruptcy": own, "mark": mark, "previous_mark": run.before[market]}[rule]
        mean = sum(price[id(a)] * abs(a.positions[market][0]) for a in losers) / wanted
        for a in losers:
            q = a.positions[market][0]
            moves.append((a, market, -q if matched >= wanted * (1 - 1e-12) else -q * matched / wanted, price[id(a)]))
        for a in [a for tie in ties for a in tie if given.get(id(a))]:
            q, part = a.positions[market][0], given[id(a)]
            moves.append((a, market, -q if part >= abs(q) * (1 - 1e-12) else -math.copysign(part, q), mean))
    for a, market, units, price_ in moves:
        held = a.positions[market]
        held[0] = 0.0 if units == -held[0] else held[0] + units
        a.b -= units * price_
    for a in bankrupt:
        a.to_book = True
        run.stirred = True


def waterfall(run: Oracle, accounts: list[Account], spent: dict[str, float]) -> None:
    """Step 7: fund, loss rule, house."""
    flat = [a for a in {id(a): a for a in accounts}.values() if a.flat()]
    for a in flat:
        if a.status in CLOSING:
            a.status = "closed"
    indebted = [a for a in flat if a.b < DEBT]
    run.watch = [a for a in indebted if any(a.coins.values()) and a.status != "open"]
    for x, rule in run.rule.items():
        short = [a for a in indebted if a.exchange == x and not any(a.coins.values())]
        if not short or x in run.failed:
            continue
        total = sum(-a.b for a in short)
        pays = min(run.fund[x], total)
        run.fund[x] -= pays
        rest = {id(a): -a.b * (1 - pays / total) for a in short}
        left = total - pays
        if left > 0 and rule["loss_rule"] == "adl" and rule["adl_form"] == "cash":
            left = take_cash(run, short, rest)
        elif left > 0 and rule["loss_rule"] == "socialise":
            left = socialise(run, x, short, left)
        run.house[x] -= left
        spent[x] += pays + left
        for a in short:
            a.b, run.stirred = 0.0, True


def charge(a: Account, market: Any, usd: float) -> None:
    a.b -= usd
    a.positions[market][1] += usd / a.positions[market][0]


def take_cash(run: Oracle, short: list[Account], rest: dict[int, float]) -> float:
    wanted: dict[Any, float] = defaultdict(float)
    for a in short:
        had = {m: abs(q) * run.book[m]["price"] for m, q in a.start.items()}
        for m, size in had.items():
            wanted[m, 1 if a.start[m] > 0 else -1] += rest[id(a)] * size / sum(had.values())
    plans: list[tuple[Account, Any, float]] = []
    for (market, side), usd in wanted.items():
        ties = ranked(run, market, -side, short)
        most = {id(a): a.positions[market][0] * (run.mark[market] - a.positions[market][1]) for tie in ties for a in tie}
        plans += [(a, market, allot(ties, usd, most).get(id(a), 0.0)) for tie in ties for a in tie]
    for a, market, usd in plans:
        charge(a, market, usd)
    return max(sum(rest.values()) - sum(usd for _, _, usd in plans), 0.0)


def socialise(run: Oracle, x: str, short: list[Account], left: float) -> float:
    profit = {}
    for a in run.accounts:
        for market, (q, entry) in a.positions.items():
            gain = q * (run.mark[market] - entry)
            if a.exchange == x and market[2] == "perp" and gain > 0 and a.status == "open" and a.equity > 0 and a not in short:
                profit[id(a), market] = (a, gain)
    total = sum(gain for _, gain in profit.values())
    part = min(1.0, left / total) if total else 0.0
    for (_, market), (a, gain) in profit.items():
        charge(a, market, gain * part)
    return max(left - part * total, 0.0)


def settle(run: Oracle, x: str) -> None:
    """Everything settles at the mark, and positive equities become claims."""
    for a in run.accounts:
        if a.exchange != x:
            continue
        for market, held in a.positions.items():
            usd = held[0] * run.mark[market]
            a.b += usd
            if market[2] == "spot":
                run.house[x] -= usd
                run.estate[x, market[1]] = run.estate.get((x, market[1]), 0.0) + held[0]
            held[0] = 0.0
        a.claim = max(a.b + sum(q * run.index[m] for m, q in a.coins.items()), 0.0)
        for market, q in a.coins.items():
            run.estate[x, market[1]] = run.estate.get((x, market[1]), 0.0) + q
            a.coins[market] = 0.0
        run.house[x] += a.b
        a.b, a.status = 0.0, "settled"
    for key in run.book:
        if key[0] == x and key[2] == "perp":
            run.till[key] += run.contracts[key] * run.mark[key]
            run.contracts[key] = 0.0
    run.watch = [a for a in run.watch if a.exchange != x]
    run.settled.add(x)
    run.stirred = True
