"""Draws follow the law that they state, and nothing but seed, number and a driver's name decides them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from contagion.compile import compile_system
from contagion.errors import RunError
from contagion.search.draws import LAW, Draws, _cholesky
from contagion.search.drivers import Driver, drivers_of
from contagion.search.risk import Risk
from contagion.search.trial import Bench
from graphs.generate import random_network, shuffle_network
from graphs.toys import interbank_ring, two_exchange_stablecoin

RISK = Risk()
SYSTEM = compile_system(two_exchange_stablecoin())
DRIVERS = drivers_of(SYSTEM, RISK)


def law(risk: Risk = RISK, **more: bool) -> Draws:
    return Draws.of(drivers_of(SYSTEM, risk, **more), risk, SYSTEM)


def test_a_draw_has_the_same_bits_in_any_block() -> None:
    draws = law()
    normals = draws.normals(5, 0, 64)
    moves = draws.unfold(normals)
    for first, count in ((0, 1), (13, 7), (63, 1)):
        part = draws.unfold(draws.normals(5, first, count))
        assert (part.sigmas == moves.sigmas[first : first + count]).all()
        assert (part.happens == moves.happens[first : first + count]).all()
    assert (draws.normals(6, 0, 64) != normals).all()


def test_neither_the_order_of_drivers_nor_twins_matter() -> None:
    draws, turned = law(), Draws.of(DRIVERS[::-1], RISK, SYSTEM)
    twins = law(rises=True)
    assert draws.joint.drivers == turned.joint.drivers
    assert [driver.key for driver in twins.joint.drivers] == [driver.key for driver in draws.joint.drivers]
    moves = draws.unfold(draws.normals(1, 0, 20))
    for other in (turned, twins):
        again = other.unfold(other.normals(1, 0, 20))
        assert (again.sigmas == moves.sigmas).all()
        assert (again.happens == moves.happens).all()


def test_another_driver_leaves_the_others_numbers_alone() -> None:
    few = Draws.of(drivers_of(SYSTEM, RISK, traders=0), RISK, SYSTEM)
    many = law()
    one, other = few.normals(3, 0, 50), many.normals(3, 0, 50)
    names = [driver.key for driver in (*many.joint.drivers, *many.events)]
    for place, driver in enumerate((*few.joint.drivers, *few.events)):
        assert (one[:, LAW + place] == other[:, LAW + names.index(driver.key)]).all()
    assert (few.unfold(one).sigmas == many.unfold(other).sigmas).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    net = random_network(seed=seed)
    said = []
    for each in (net, shuffle_network(net, seed=1)):
        system = compile_system(each)
        draws = Draws.of(drivers_of(system, RISK), RISK, system)
        moves = draws.unfold(draws.normals(2, 0, 5))
        said.append([[str(shock) for shock in draws.shocks(moves, row)] for row in range(5)])
    assert said[0] == said[1]


def test_a_price_follows_the_t_of_unit_variance() -> None:
    risk = Risk(jump_probability=0.0, tail=4.0)
    draws = law(risk)
    place = [driver.key for driver in draws.joint.drivers].index("BTC")
    sigmas = draws.unfold(draws.normals(11, 0, 40_000)).sigmas[:, place]
    assert stats.kstest(sigmas * math.sqrt(2.0), stats.t(4).cdf).pvalue > 0.01
    normal = law(Risk(jump_probability=0.0, tail=1e6))
    assert stats.kstest(normal.unfold(normal.normals(11, 0, 40_000)).sigmas[:, place], stats.norm.cdf).pvalue > 0.01


def test_drivers_are_correlated_as_stated_and_share_their_tail() -> None:
    risk = Risk(jump_probability=0.0, correlation=0.0, peg_correlation=0.0, depth_correlation=0.0, pairs={"BTC,depth:Deep": 0.6}, tail=5.0)
    draws = law(risk)
    names = [driver.key for driver in draws.joint.drivers]
    sigmas = draws.unfold(draws.normals(1, 0, 60_000)).sigmas
    normals = draws.normals(1, 0, 60_000)[:, LAW : LAW + len(names)] @ draws.joint.root.T
    error = 4 / math.sqrt(60_000)
    assert np.abs(np.corrcoef(normals.T) - draws.joint.correlation).max() < error
    btc, thin = sigmas[:, names.index("BTC")], sigmas[:, names.index("depth:Thin")]
    # Uncorrelated, and yet large together: they share one mixing variable.
    assert abs(stats.spearmanr(btc, thin).statistic) < error
    assert stats.spearmanr(np.abs(btc), np.abs(thin)).statistic > 5 * error


def test_jumps_come_as_often_and_are_as_large_as_stated() -> None:
    draws = law(Risk(jump_probability=0.2, jump_size=3.0))
    n = 20_000
    normals = draws.normals(4, 0, n)
    moves = draws.unfold(normals)
    jumped = moves.jump > 0
    assert abs(jumped.mean() - 0.2) < 4 * math.sqrt(0.16 / n)
    assert stats.kstest(moves.jump[jumped], stats.expon(scale=3.0).cdf).pvalue > 0.01
    still = law(Risk(jump_probability=0.0)).unfold(normals)
    assert np.allclose((moves.sigmas - still.sigmas)[jumped], moves.jump[jumped, None] * draws.loading, rtol=0, atol=1e-9)
    assert (moves.sigmas == still.sigmas)[~jumped].all()


def test_events_happen_as_often_as_stated() -> None:
    draws = law(Risk(probabilities={"exchange": 0.99999, "trader": 0.9999999, "outage": 0.999}))
    n = 20_000
    happens = draws.unfold(draws.normals(8, 0, n)).happens
    error = 4 * np.sqrt(draws.probability * (1 - draws.probability) / n)
    assert (np.abs(happens.mean(axis=0) - draws.probability) < error).all()


def test_the_two_parts_of_the_law_make_the_whole() -> None:
    system = compile_system(interbank_ring(n=6))
    risk = Risk(probabilities={"trader": 0.9, "Bank1": 0.5, "Bank2": 0.999999})  # a day: 0.6 %, 0.2 % and 3.7 %
    draws = Draws.of(drivers_of(system, risk), risk, system)
    assert draws.rare.tolist() == [True, False, True, True, True, True]
    n = 40_000
    normals = draws.normals(2, 0, n)
    none, some = draws.unfold(normals, rare=False).happens, draws.unfold(normals, rare=True).happens
    assert not none[:, draws.rare].any()
    assert some[:, draws.rare].any(axis=1).all()
    assert (none[:, 1] == some[:, 1]).all()
    exact = 1.0 - np.prod(1.0 - draws.probability[draws.rare])
    assert draws.chance == pytest.approx(exact, rel=1e-12)
    error = 4 * draws.chance * np.sqrt(some.mean(axis=0) * (1 - some.mean(axis=0)) / n)
    assert (np.abs(draws.chance * some.mean(axis=0) - draws.probability)[draws.rare] < error[draws.rare]).all()
    # Two at a time too: given that one happens, the others are independent of how it was chosen.
    pair = draws.chance * (some[:, 0] & some[:, 5]).mean()
    expected = draws.probability[0] * draws.probability[5]
    assert abs(pair - expected) < 4 * draws.chance * math.sqrt(expected / draws.chance / n)


def test_prices_go_both_ways_and_pegs_and_depths_only_down() -> None:
    draws = law()
    moves = draws.unfold(draws.normals(9, 0, 300))
    bench = Bench(SYSTEM)
    seen = set()
    for row in range(300):
        shocks = draws.shocks(moves, row)
        bench.scenario(shocks)  # which refuses two shocks of one thing
        for shock in shocks:
            if shock.kind == "price":
                seen.add("up" if shock.value > 0 else "down")
            else:
                assert shock.kind in {"default", "outage"} or 0.0 < shock.value < 1.0
                seen.add(f"{shock.kind}@" if shock.exchange else shock.kind)
        assert all(shock.target != "*" for shock in shocks)
    assert seen >= {"up", "down", "depeg", "depeg@", "depth", "outage"}


def test_a_price_keeps_within_its_limits() -> None:
    draws = Draws.of([Driver("price", "BTC", "", 1.0, 0.9)], RISK, SYSTEM)
    moves = draws.unfold(draws.normals(9, 0, 3000))
    values = [draws.shocks(moves, row)[0].value for row in range(3000)]
    assert min(values) == -0.9
    assert max(values) == pytest.approx(9.0)  # as far up in logs: tenfold


def test_depth_everywhere_is_drawn_only_where_no_single_depth_is() -> None:
    everywhere = [driver for driver in DRIVERS if driver.key == "depth:*"]
    assert [driver.key for driver in Draws.of(everywhere, RISK, SYSTEM).joint.drivers] == ["depth:*"]
    assert "depth:*" not in [driver.key for driver in law().joint.drivers]


def test_a_law_reads_back_equal() -> None:
    draws = law(Risk(tail=3.5, pairs={"BTC,peg:USDX": 0.5}))
    again = Draws.from_json(draws.to_json(), SYSTEM)
    normals = draws.normals(0, 0, 5)
    assert (again.normals(0, 0, 5) == normals).all()
    assert (again.unfold(normals).sigmas == draws.unfold(normals).sigmas).all()
    assert [again.words(again.unfold(normals), row) for row in range(5)] == [draws.words(draws.unfold(normals), row) for row in range(5)]


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(RunError, match="no driver to draw"):
        Draws.of([], RISK, SYSTEM)


def test_the_factor_is_that_of_the_library() -> None:
    rng = np.random.default_rng(0)
    half = rng.standard_normal((9, 12))
    matrix = half @ half.T
    assert np.allclose(_cholesky(matrix), np.linalg.cholesky(matrix), rtol=1e-10, atol=1e-12)
