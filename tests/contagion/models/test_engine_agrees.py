"""The classical models are settings of the engine: on networks of credit both give the same equities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from contagion.cascade import run
from contagion.models.clearing import clear
from contagion.models.debtrank import debtrank
from contagion.models.threshold import cascade
from contagion.scenario import Scenario
from contagion.settings import Settings
from graphs.network import Network
from graphs.toys import interbank_ring


class Banks:
    """Random banks that are solvent before a shock, as matrices and as a network."""

    def __init__(self, seed: int, n: int = 8) -> None:
        rng = np.random.default_rng(seed)
        self.names = [f"B{i}" for i in range(n)]
        self.liabilities = np.where(rng.random((n, n)) < 0.35, rng.integers(1, 400, (n, n)) * 1e4, 0.0)
        np.fill_diagonal(self.liabilities, 0.0)
        self.external = rng.integers(0, 300, n) * 1e4
        self.equity = rng.integers(20, 300, n) * 1e4
        owing = self.liabilities.sum(axis=1) - self.liabilities.sum(axis=0)
        self.cash = np.maximum(self.equity + self.external + owing, 1e4)
        self.equity = self.cash - self.external - owing
        self.loss = np.where(rng.random(n) < 0.5, np.floor(rng.random(n) * self.cash), 0.0)

    @property
    def buffer(self) -> np.ndarray:
        return self.equity - self.loss

    def network(self) -> Network:
        debtor, creditor = np.nonzero(self.liabilities)
        traders = {"id": self.names, "role": "lender", "cash": self.cash, "external_debt": self.external}
        names = np.array(self.names)
        credit = {"debtor": names[debtor], "creditor": names[creditor], "amount": self.liabilities[debtor, creditor], "seniority": 1}
        return Network.from_frames(name="banks", trader=pd.DataFrame(traders), credit=pd.DataFrame(credit))

    def engine(self, **settings: Any) -> np.ndarray:  # noqa: ANN401 - fields of Settings
        shocks = [f"loss:{name}={float(amount)!r}" for name, amount in zip(self.names, self.loss, strict=True) if amount > 0]
        outcome = run(self.network(), Scenario.from_shocks(shocks), settings=Settings(**settings)).outcome
        return np.asarray(outcome.state.node_equity[: len(self.names)])


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("seniority", ["pari_passu", "external_senior"])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.5, 0.75)])
def test_clearing(*, seed: int, seniority: str, alpha: float, beta: float) -> None:
    banks = Banks(seed)
    mine = clear(
        banks.liabilities, banks.cash - banks.loss, external_liabilities=banks.external, alpha=alpha, beta=beta, seniority=seniority
    )
    engine = banks.engine(alpha=alpha, beta=beta, external_seniority="senior" if seniority == "external_senior" else "pari_passu")
    np.testing.assert_allclose(mine.equity, engine, atol=1e-3)  # of some 1e6: the engine keeps USD on a grid


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("recovery", [0.0, 0.375])
def test_threshold(seed: int, recovery: float) -> None:
    banks = Banks(seed)
    mine = cascade(banks.liabilities.T, banks.buffer, [], recovery=recovery, tie="survive")
    np.testing.assert_allclose(banks.buffer - mine.loss, banks.engine(valuation="threshold", recovery=recovery), atol=1e-3)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("a", [0.0, 1.5])
def test_debtrank(seed: int, a: float) -> None:
    banks = Banks(seed)
    if (banks.equity <= 0).any():
        pytest.skip("insolvent before the shock")
    mine = debtrank(banks.liabilities.T, banks.equity, banks.loss / banks.equity, variant="nonlinear", a=a, capped=False)
    rule = {"valuation": "nonlinear_debtrank", "nonlinearity": a} if a else {"valuation": "debtrank"}
    np.testing.assert_allclose(banks.equity * (1 - mine.distress), banks.engine(**rule), atol=1e-3)


def test_a_ring_that_one_bank_brings_down() -> None:
    net = interbank_ring(n=5, amount=100.0, cash=30.0, external_debt=20.0)
    ring = np.roll(np.eye(5), 1, axis=1) * 100.0
    equity = run(net, Scenario.from_shocks(["loss:Bank1=25"]), settings=Settings()).outcome.state.node_equity[:5]
    mine = clear(ring, [5, 30, 30, 30, 30], external_liabilities=[20] * 5)
    np.testing.assert_allclose(mine.equity, equity, atol=1e-9)
    assert mine.defaulted.any()
