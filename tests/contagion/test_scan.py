"""The scans over all accounts: compiled loop and array twin give the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from contagion.kernels.compiled import compiled
from contagion.kernels.scan import breach_arrays, breach_loop, worth_arrays, worth_loop


def draw(seed: int, count: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    maintenance = np.round(random.uniform(0, 10, count), 1)
    return {
        "margin": np.where(random.random(count) < 0.3, maintenance, np.round(random.uniform(-5, 15, count), 1)),
        "maintenance": maintenance,
        "gross": np.where(random.random(count) < 0.2, 0.0, random.uniform(0, 100, count)),
        "balance": random.normal(size=count),
        "status": random.integers(0, 3, count).astype(np.uint8),
    }


@pytest.mark.parametrize("at_equality", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_breaches_agree_and_ties_follow_the_rule(seed: int, *, at_equality: bool) -> None:
    values = draw(seed, 2_000)
    plain, fast, twin = (np.empty(2_000, dtype=np.bool_) for _ in range(3))
    breach_loop(*values.values(), 1e-12, at_equality, plain)
    compiled(breach_loop)(*values.values(), 1e-12, at_equality, fast)
    breach_arrays(*values.values(), 1e-12, at_equality, twin)
    assert (plain == fast).all()
    assert (plain == twin).all()
    tied = (values["margin"] == values["maintenance"]) & (values["status"] == 0) & (values["gross"] > 0)
    assert tied.any()
    assert (plain[tied] == at_equality).all()


@pytest.mark.parametrize("seed", range(5))
def test_worth_agrees_in_any_order_of_accounts(seed: int) -> None:
    random = np.random.default_rng(seed)
    owner, equity = random.integers(0, 50, 3_000), random.normal(0, 1e6, 3_000)
    results = []
    for kernel in (worth_loop, compiled(worth_loop), worth_arrays):
        for order in (np.arange(3_000), random.permutation(3_000)):
            worth = np.zeros(50)
            kernel(owner[order], equity[order], 2.0**-20, worth)
            results.append(worth)
    assert all((worth == results[0]).all() for worth in results)
