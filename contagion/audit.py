"""The audit: eight identities that hold in every round.

I1 positions of a perpetual market sum to zero; I2 an exchange's ledger changes only by logged transfers; I3 credit is paid
and received alike, pro rata within a seniority; I4 an account closed by ADL at bankruptcy price ends at zero and its
winners lose what it gains; I5 each equity changes by the sum of its logged flows; I6 redemption burns what it pays for; I7
total equity changes only by prices, revaluation at transfer and stated sinks; I8 units of every coin are conserved.

Each is recomputed from the state's arrays by formulas that the steps do not use. A residual is relative to the sums
involved, with the ledger's rounding allowed for. Cost O(accounts + positions) a round.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from contagion.errors import RunError
from contagion.grid import group_sum
from contagion.steps.recovery import open_debts
from contagion.steps.revalue import account_value, desk_shares, inventory_equity, inventory_price

if TYPE_CHECKING:
    from contagion.arrays import Floats
    from contagion.state import State


TOLERANCE = 1e-9
ROUNDING = 64
"""Ledger steps that rounding of single movements may add up to in one account and round."""


class AuditError(RunError):
    """An identity does not hold: the engine has lost or made money."""


@dataclass(slots=True)
class _Snapshot:
    """What the last audit saw."""

    equity: Floats
    positive: Floats
    node_equity: Floats
    credit: Floats
    mark: Floats
    index: Floats
    inventory_price: Floats
    coin_price: Floats
    book: Floats
    desk: Floats


@dataclass(slots=True)
class Audit:
    """Checks a run as it goes.

    Attributes
    ----------
    worst
        Largest relative residual of each identity so far.
    rounds
        Rounds audited.
    """

    worst: dict[str, float] = field(default_factory=dict)
    rounds: int = 0
    _units: Floats | None = None
    _ledger: Floats | None = None
    _last: _Snapshot | None = None

    def check(self, state: State) -> None:
        """Audit what happened since the last call; called after step 3 of each round.

        Raises
        ------
        AuditError
            If a residual exceeds 1e-9; the message names identity, round and place.
        """
        self._positions(state)
        self._ledgers(state)
        self._coins(state)
        self._credit(state)
        self._pairs(state)
        if self._last is not None:
            self._flows(state, self._last)
        self._last = _snapshot(state)
        self.rounds += 1
        if state.flows is not None:
            state.flows.clear()

    def _keep(self, state: State, identity: str, gap: Floats, scale: Floats) -> None:
        allowed = ROUNDING * state.system.quantum
        residual = np.maximum(np.abs(gap) - allowed, 0.0) / np.maximum(scale, np.finfo(np.float64).tiny)
        worst = float(residual.max(initial=0.0))
        self.worst[identity] = max(self.worst.get(identity, 0.0), worst)
        if worst > TOLERANCE:
            where = int(residual.argmax())
            msg = f"identity {identity} fails in round {state.round} at place {where} by {gap.flat[where]:.6g}; please report the network"
            raise AuditError(msg)

    def _positions(self, state: State) -> None:
        markets, accounts = state.system.markets, state.system.accounts
        held = group_sum(accounts.market, state.quantity, markets.count)
        net = (held + state.books.quantity + state.books.desk_quantity)[markets.perp]
        gross = group_sum(accounts.market, np.abs(state.quantity), markets.count)[markets.perp]
        self._keep(state, "I1", net * markets.price[markets.perp], gross * markets.price[markets.perp] + 1.0)

    def _ledgers(self, state: State) -> None:
        system = state.system
        count, markets = system.nodes.exchanges, system.markets
        inside = group_sum(system.accounts.exchange, state.balance, count) + state.fund + state.house
        inside += group_sum(markets.exchange, state.books.cash + state.books.desk_cash, count)
        if self._ledger is None:
            self._ledger = inside
        moved = state.flows.ledger if state.flows is not None else np.zeros(count)
        # a squeeze can take both sides of the ledger far beyond what is left in sum
        gross = group_sum(system.accounts.exchange, np.abs(state.balance), count) + np.abs(state.fund) + np.abs(state.house)
        gross += group_sum(markets.exchange, np.abs(state.books.cash) + np.abs(state.books.desk_cash), count) + np.abs(moved)
        self._keep(state, "I2", inside - self._ledger - moved, gross)

    def _coins(self, state: State) -> None:
        system = state.system
        markets, claims, count = system.markets, system.claims, len(system.coins.names)
        spot = ~markets.perp
        coin_market = system.accounts.coin_market
        units = group_sum(markets.coin[coin_market], state.coin_quantity, count)
        lent = spot[system.accounts.market]
        units += group_sum(markets.coin[system.accounts.market[lent]], state.quantity[lent], count)
        units += group_sum(claims.holding_coin, state.holding, count) + group_sum(claims.backing_coin, state.backing, count)
        books = state.books
        units += group_sum(markets.coin[spot], (books.quantity + books.desk_quantity)[spot], count)
        units += group_sum(markets.coin, books.coins + books.outside_quantity, count)
        units += state.estate.sum(axis=0)
        if state.flows is not None:
            units += state.flows.burned
        if self._units is None:
            self._units = units
        gross = group_sum(markets.coin[coin_market], np.abs(state.coin_quantity), count) + np.abs(units) + system.coins.supply
        price = system.coins.price
        self._keep(state, "I8", (units - self._units) * price, gross * price + 1.0)

    def _credit(self, state: State) -> None:
        """Paid = received; within a seniority the same share; what is not paid is a loss of the creditor or a default cost."""
        debts, first = open_debts(state)
        if not debts.amount.size:
            return
        value = np.append(state.credit_recovery, state.recovery[debts.debtor[first:]])
        paid = group_sum(debts.debtor, debts.amount * value, state.system.nodes.count)
        received = group_sum(debts.creditor, debts.amount * value, state.system.nodes.count)
        self._keep(state, "I3", np.atleast_1d(paid.sum() - received.sum()), np.atleast_1d(paid.sum() + 1.0))
        order = np.lexsort((debts.seniority, debts.debtor))
        same = (np.diff(debts.debtor[order]) == 0) & (np.diff(debts.seniority[order]) == 0)
        self._keep(state, "I3", np.where(same, np.diff(value[order]), 0.0), np.ones(max(order.size - 1, 0)))

    def _pairs(self, state: State) -> None:
        for identity, paid, received in state.flows.pairs if state.flows is not None else ():
            self._keep(state, identity, np.array([paid - received]), np.array([abs(paid) + abs(received)]))

    def _flows(self, state: State, last: _Snapshot) -> None:
        system, books, flows = state.system, state.books, state.flows
        if flows is None:
            return
        accounts, nodes, claims = system.accounts, system.nodes, system.claims
        market, coin_market = accounts.market, accounts.coin_market
        moved = state.quantity * (books.mark - last.mark)[market]
        owner = np.repeat(np.arange(accounts.count), np.diff(accounts.coin_start))
        priced = group_sum(state.position_account, moved, accounts.count)
        priced += group_sum(owner, state.coin_quantity * (books.index - last.index)[coin_market], accounts.count)
        size = np.abs(state.balance) + state.gross + np.abs(last.equity) + flows.turnover
        size += group_sum(owner, state.coin_quantity * books.index[coin_market], accounts.count)
        self._keep(state, "I5 accounts", state.equity - last.equity - flows.account - priced, size)

        price = inventory_price(state)
        book, desk = inventory_equity(state)
        book_priced = (
            books.quantity * (price - last.inventory_price) + books.coins * (state.coin_price - last.coin_price)[system.markets.coin]
        )
        desk_priced = books.desk_quantity * (price - last.inventory_price)
        scale = np.abs(books.cash) + np.abs(books.quantity * price) + np.abs(books.desk_cash) + np.abs(last.book) + np.abs(last.desk)
        self._keep(state, "I5 books", book - last.book - flows.book - book_priced, scale)
        self._keep(state, "I5 books", desk - last.desk - flows.desk - desk_priced, scale)

        change = flows.node.copy()
        change += group_sum(accounts.owner, account_value(state) - last.positive, nodes.count)
        step = state.coin_price - last.coin_price
        change += group_sum(claims.holding_owner, state.holding * step[claims.holding_coin], nodes.count)
        change += group_sum(claims.backing_issuer + nodes.coin0, state.backing * step[claims.backing_coin], nodes.count)
        change[nodes.exchange0 :] += state.estate @ step
        change += group_sum(claims.maker, claims.maker_share * (book - last.book)[claims.maker_market], nodes.count)
        by_coin = group_sum(system.markets.coin, desk - last.desk, len(system.coins.names))
        change += group_sum(claims.arbitrageur, desk_shares(state) * by_coin[claims.arbitrage_coin], nodes.count)
        credit = _credit_equity(state)
        change += credit - last.credit
        size = np.abs(state.node_equity) + np.abs(last.node_equity) + np.abs(change) + group_sum(accounts.owner, state.gross, nodes.count)
        size[nodes.coin0 : nodes.exchange0] += state.supply * np.nan_to_num(system.coins.promised)
        size[nodes.exchange0 :] += np.abs(state.house) + np.abs(state.estate) @ state.coin_price
        size += np.abs(credit) + np.abs(last.credit)
        self._keep(state, "I5 nodes", state.node_equity - last.node_equity - change, size)

        # what one party gets another pays, but for what is stated
        paid = flows.account.sum() + flows.node.sum() + flows.book.sum() + flows.desk.sum()
        turned = sum(np.abs(array).sum() for array in (flows.account, flows.node, flows.book, flows.desk))
        self._keep(state, "I7", np.array([paid - flows.stated]), np.array([turned + abs(flows.stated)]))


def _credit_equity(state: State) -> Floats:
    """Claims at their value less debts at face, by node, USD."""
    debts, first = open_debts(state)
    count = state.system.nodes.count
    value = np.append(state.credit_recovery, state.recovery[debts.debtor[first:]])
    owed = group_sum(debts.debtor, debts.amount, count)
    return group_sum(debts.creditor, debts.amount * value, count) - owed


def _snapshot(state: State) -> _Snapshot:
    book, desk = inventory_equity(state)
    return _Snapshot(
        equity=state.equity.copy(),
        positive=account_value(state).copy(),
        node_equity=state.node_equity.copy(),
        credit=_credit_equity(state),
        mark=state.books.mark.copy(),
        index=state.books.index.copy(),
        inventory_price=inventory_price(state),
        coin_price=state.coin_price.copy(),
        book=book,
        desk=desk,
    )
