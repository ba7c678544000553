"""A network compiled to arrays: labels stop here.

Index spaces: *node* (traders, assets, stablecoins, exchanges, each sorted by id), *coin* (assets, then stablecoins; coin
``c`` is node ``nodes.coin0 + c``), *exchange*, *market* (sorted by exchange, coin, instrument), *account* (sorted by
owner, exchange, isolated coin), *position* and *collateral* rows (by account, then market). Quantities are signed units,
positive long; money is USD on the ledger's grid; all sums over rows are therefore exact in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from contagion.arrays import Flags, Floats, Ints


@dataclass(frozen=True, slots=True)
class Nodes:
    """All nodes: ``cash`` USD off exchange (an issuer's cash backing), ``external_debt`` USD, purse and leverage rule."""

    ids: pa.StringArray
    traders: int
    assets: int
    stablecoins: int
    exchanges: int
    cash: Floats
    external_debt: Floats
    top_up: Floats
    leverage_limit: Floats
    leverage_target: Floats

    @property
    def count(self) -> int:
        """Number of nodes."""
        return self.traders + self.assets + self.stablecoins + self.exchanges

    @property
    def coin0(self) -> int:
        """Node of the first coin."""
        return self.traders

    @property
    def stable0(self) -> int:
        """Node of the first stablecoin."""
        return self.traders + self.assets

    @property
    def exchange0(self) -> int:
        """Node of the first exchange."""
        return self.traders + self.assets + self.stablecoins

    def name(self, node: int) -> str:
        """Id of a node."""
        return str(self.ids[int(node)].as_py())


@dataclass(frozen=True, slots=True)
class Coins:
    """Coins: ``price`` USD where no market quotes them, ``lot`` units, ``volatility`` of the log price a day.

    The rest is for stablecoins (NaN peg: an asset).
    """

    names: tuple[str, ...]
    price: Floats
    lot: Floats
    volatility: Floats
    peg: Floats
    supply: Floats
    promised: Floats
    redemption_fee: Floats
    redemption_capacity: Floats
    redemption_open: Flags


@dataclass(frozen=True, slots=True)
class Exchanges:
    """Exchanges and their rules; columns as ``graphs.schema.EXCHANGE`` names them, NaN where "empty = none"."""

    names: tuple[str, ...]
    insurance_fund: Floats
    equity: Floats
    vault_account: Ints
    liquidation: tuple[str, ...]
    slice_fraction: Floats
    slice_above: Floats
    target_ratio: Floats
    backstop: Floats
    vault_unwind: Floats
    liquidation_fee: Floats
    loss_rule: tuple[str, ...]
    adl_form: tuple[str, ...]
    adl_rank: tuple[str, ...]
    adl_price: tuple[str, ...]
    marginal: Flags
    mark_oracle: tuple[str, ...]
    collateral_oracle: tuple[str, ...]
    outlier: Floats
    redemption_weight: Floats
    halt_rounds: Ints
    transfers_open: Flags
    arbitrage_open: Flags
    outage: Flags
    throughput: Floats


@dataclass(frozen=True, slots=True)
class Markets:
    """Books: ``price`` USD, ``depth`` units that move it 1 %; tiers of market v are rows tier_start[v] to tier_start[v + 1].

    ``trade`` and ``sell``, exchange × coin, say on which market a position trades (the perpetual, else spot) and a coin is
    sold (spot, else the perpetual); -1 where there is none.
    """

    exchange: Ints
    coin: Ints
    perp: Flags
    price: Floats
    depth: Floats
    haircut: Floats
    weight: Floats
    band: Floats
    tier_start: Ints
    floor: Floats
    rate: Floats
    deduction: Floats
    max_leverage: Floats
    trade: Ints
    sell: Ints

    @property
    def count(self) -> int:
        """Number of markets."""
        return len(self.price)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Accounts: ``balance`` b in USD on the ledger, ``grid`` the step on which its valuation is summed.

    Positions of account i are rows start[i] to start[i + 1] of ``market``, ``quantity``, ``entry``; its coins are rows
    coin_start[i] to coin_start[i + 1] of ``coin_market``, ``coin_quantity``. ``stop``, ``take``, ``order`` are empty
    arrays where no row of the network has one.
    """

    owner: Ints
    exchange: Ints
    isolated: Flags
    balance: Floats
    grid: Floats
    start: Ints
    market: Ints
    quantity: Floats
    entry: Floats
    stop: Floats
    take: Floats
    order: Floats
    coin_start: Ints
    coin_market: Ints
    coin_quantity: Floats

    @property
    def count(self) -> int:
        """Number of accounts."""
        return len(self.owner)


@dataclass(frozen=True, slots=True)
class Claims:
    """Rows of ownership and debt between nodes, as index arrays: holdings, backing, credit, liquidity, arbitrage."""

    holding_owner: Ints
    holding_coin: Ints
    holding_quantity: Floats
    backing_issuer: Ints
    backing_coin: Ints
    backing_quantity: Floats
    backing_custodian: Ints
    debtor: Ints
    creditor: Ints
    amount: Floats
    seniority: Ints
    maker: Ints
    maker_market: Ints
    maker_share: Floats
    arbitrageur: Ints
    arbitrage_coin: Ints
    arbitrage_capacity: Floats


@dataclass(frozen=True, slots=True)
class System:
    """Everything of a network that a run reads, and nothing that it changes.

    Attributes
    ----------
    quantum
        Step of the ledger, USD.
    residue
        Units by market that rounding to lots left over; the books hold them.
    """

    name: str
    as_of: str
    nodes: Nodes
    coins: Coins
    exchanges: Exchanges
    markets: Markets
    accounts: Accounts
    claims: Claims
    quantum: float
    residue: Floats

    def node(self, name: str) -> int:
        """Index of a node by its id, -1 if there is none."""
        import pyarrow.compute as pc

        return int(pc.index(self.nodes.ids, name).as_py())

    def nodes_of(self, names: Sequence[str]) -> Ints:
        """Indices of nodes by their ids, -1 where there is none; looks all of them up at once."""
        import pyarrow as pa
        import pyarrow.compute as pc

        found = np.asarray(pc.fill_null(pc.index_in(pa.array(names, type=pa.string()), value_set=self.nodes.ids), -1))
        return found.astype(np.int64)

    def market_name(self, market: int) -> tuple[str, str, str]:
        """Exchange, coin and instrument of a market."""
        markets = self.markets
        exchange, coin = self.exchanges.names[markets.exchange[market]], self.coins.names[markets.coin[market]]
        return exchange, coin, "perp" if markets.perp[market] else "spot"
