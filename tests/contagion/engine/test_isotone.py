"""Where a larger shock never does less, and the smallest networks where it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from contagion.engine import prepare, simulate
from contagion.journal import FORCED, Flow
from contagion.scenario import Scenario
from contagion.settings import Settings
from graphs.generate import random_network
from tests.contagion.engine.build import Run, run, venue

if TYPE_CHECKING:
    import numpy as np

    from graphs.network import Network

FLAT = {"tier_form": "flat", "brackets": [(0.0, 0.08, 10.0), (500.0, 0.1, 8.0)], "depth": 100.0}
"""A linear book on which each unit sold costs one USD of price; large positions need 10 %, small ones 8 %."""


def forced(done: Run) -> set[str]:
    return {name for kind in FORCED for name in done.hit(kind)}


def test_a_larger_shock_can_leave_less_bad_debt() -> None:
    """5 %: A sells at 90 on average and B then at 84, under its 86.5. 7 %: both sell at 87 together."""
    net = venue({"A": (10.0, 100.0, 140.0), "B": (2.0, 100.0, 27.0)}, **FLAT)
    small, large = (run(net, [f"C=-{shock}%"], impact="linear") for shock in (5, 7))
    assert small.total("bad_debt") == 5.0
    assert large.total("bad_debt") == 0.0
    assert forced(small) == forced(large) == {"A", "B"}


def test_with_a_backstop_a_larger_shock_can_close_fewer_accounts() -> None:
    """5 %: A goes to the book, which takes the price through B's level. 7 %: the vault takes A off book, and B stands."""
    accounts = {"A": (10.0, 100.0, 130.0), "B": (2.0, 100.0, 34.0), "V": (0.0, 0.0, 1e5)}
    rules = FLAT | {"brackets": [(0.0, 0.1, 8.0)], "vault": "V", "backstop": 2 / 3}
    small, large = (run(venue(accounts, **rules), [f"C=-{shock}%"], impact="linear") for shock in (5, 7))
    assert forced(small) == {"A", "B"}
    assert forced(large) == {"A"}
    assert large.hit(Flow.TAKEOVER) == {"A"}


def outcome(net: Network, shock: float, impact: str) -> tuple[np.ndarray, set[int]]:
    assets = net.node_ids("asset")
    scenario = Scenario.from_shocks([f"{assets[0]}=-{shock:.6f}%", f"{assets[-1]}=-{shock / 2:.6f}%"][: len(assets)])
    done = simulate(prepare(net, scenario, check=False), settings=Settings(impact=impact), audit=True)
    assert done.reason == "settled"
    accounts = {int(account) for kind in FORCED for _, who, _ in done.state.journal.accounts[kind] for account in who}
    return done.state.books.price, accounts


@hypothesis_settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    shocks=st.tuples(st.floats(0.5, 45.0), st.floats(0.5, 45.0)).map(sorted),
    impact=st.sampled_from(["exponential", "linear"]),
)
def test_with_longs_only_a_larger_shock_never_does_less(seed: int, shocks: list[float], impact: str) -> None:
    net = random_network(seed=seed, traders=25, exchanges=2, assets=2, rules="longs")
    (price, small), (lower, large) = (outcome(net, shock, impact) for shock in shocks)
    assert small <= large
    assert (lower <= price * (1 + 1e-9)).all()
