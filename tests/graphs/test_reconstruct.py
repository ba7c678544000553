"""Iterative proportional fitting: margins met, zeros and known cells kept, odds of the seed kept, bad input named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from graphs.errors import GraphError
from graphs.reconstruct import MarginsError, fit_margins

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Problem = tuple[Floats, Floats]

SHAPES = st.tuples(st.integers(1, 7), st.integers(1, 7))
CELLS = st.one_of(st.just(0.0), st.floats(0.01, 100.0))


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Margins are those of a hidden matrix, so that a solution with the zeros of the seed is known to exist."""
    shape = draw(SHAPES)
    hidden = draw(arrays(np.float64, shape, elements=CELLS))
    factors = draw(arrays(np.float64, shape, elements=st.floats(0.1, 10.0)))
    return hidden, hidden * factors


@given(problems())
def test_margins_are_met_and_zeros_kept(problem: Problem) -> None:
    hidden, seed = problem
    rows, columns = hidden.sum(axis=1), hidden.sum(axis=0)
    fitted = fit_margins(rows, columns, seed, tolerance=1e-10)
    assert np.abs(fitted.sum(axis=1) - rows).max() <= 1e-10 * max(rows.sum(), 1.0) * 2
    assert np.abs(fitted.sum(axis=0) - columns).max() <= 1e-10 * max(rows.sum(), 1.0) * 2
    assert np.array_equal(fitted == 0, seed == 0)
    assert (fitted >= 0).all()


@given(arrays(np.float64, (4, 5), elements=st.floats(0.1, 10.0)), arrays(np.float64, (4, 5), elements=st.floats(0.1, 10.0)))
def test_odds_ratios_are_those_of_the_seed(hidden: Floats, seed: Floats) -> None:
    fitted = fit_margins(hidden.sum(axis=1), hidden.sum(axis=0), seed)
    # x_ij = a_i s_ij b_j: the logarithm of fitted over seed has no interaction left.
    log = np.log(fitted / seed)
    interaction = log - log[:1] - log[:, :1] + log[0, 0]
    assert np.abs(interaction).max() < 1e-9


@given(problems(), st.randoms(use_true_random=False))
def test_order_of_rows_and_columns_permutes_the_answer(problem: Problem, random: random.Random) -> None:
    hidden, seed = problem
    rows, columns = hidden.sum(axis=1), hidden.sum(axis=0)
    i, j = list(range(rows.size)), list(range(columns.size))
    random.shuffle(i)
    random.shuffle(j)
    straight = fit_margins(rows, columns, seed, tolerance=1e-11)
    shuffled = fit_margins(rows[i], columns[j], seed[np.ix_(i, j)], tolerance=1e-11)
    assert np.abs(shuffled - straight[np.ix_(i, j)]).max() <= 1e-8 * max(rows.sum(), 1.0)


def test_published_matrix_of_seven_banks() -> None:
    # Anand, Craig and von Peter (2015), Quantitative Finance 15:4, p. 628: maximum entropy with a zero diagonal.
    assets, liabilities = [7, 5, 3, 1, 3, 0, 1], [4, 5, 5, 0, 0, 2, 4]
    expected = [
        [0, 2.53, 2.18, 0, 0, 0.74, 1.55],
        [1.72, 0, 1.6, 0, 0, 0.54, 1.14],
        [0.98, 1.06, 0, 0, 0, 0.31, 0.65],
        [0.25, 0.27, 0.23, 0, 0, 0.08, 0.17],
        [0.75, 0.81, 0.7, 0, 0, 0.24, 0.5],
        [0, 0, 0, 0, 0, 0, 0],
        [0.3, 0.32, 0.28, 0, 0, 0.09, 0],
    ]
    fitted = fit_margins(assets, liabilities, 1.0 - np.eye(7))
    assert np.abs(fitted - expected).max() <= 0.005


def test_known_cells_are_returned_as_given() -> None:
    fixed = np.full((2, 3), np.nan)
    fixed[0, 1] = 16.0
    fitted = fit_margins([50, 30], [20, 25, 35], np.ones((2, 3)), fixed=fixed)
    assert fitted[0, 1] == 16.0
    assert fitted[1, 1] == pytest.approx(9.0, rel=1e-12)
    assert fitted.sum(axis=1) == pytest.approx([50, 30], rel=1e-11)
    assert fitted.sum(axis=0) == pytest.approx([20, 25, 35], rel=1e-11)


def test_a_margin_of_zero_is_a_row_of_zeros() -> None:
    assert not fit_margins([0, 3], [1, 2], np.ones((2, 2)))[0].any()
    assert not fit_margins([0, 0], [0, 0], np.ones((2, 2))).any()


@pytest.mark.parametrize(
    ("rows", "columns", "seed", "options", "words"),
    [
        ([1, 2], [1, 1], np.ones((2, 2)), {}, ["3", "2", "totals"]),
        ([1, 2], [3], np.ones((2, 2)), {}, ["shape", "(2, 2)"]),
        ([1, -2], [np.nan, 1], np.ones((2, 2)), {}, ["row 2", "-2.0", "column 1", "nan"]),
        ([1, 1], [1, 1], [[1, np.inf], [-1, 1]], {}, ["row 1, column 2", "row 2, column 1"]),
        ([1, 1], [1, 1], [[0, 0], [1, 1]], {"row_names": ["HTX", "Gate"]}, ["row HTX", "no cell"]),
        ([1, 1], [1, 1], np.ones((2, 2)), {"row_names": ["HTX"]}, ["1 names for 2 rows"]),
        ([1, 1], [1, 1], np.ones((2, 2)), {"fixed": [[2, np.nan], [np.nan, np.nan]]}, ["row 1", "exceed"]),
        # Each row and column has a cell, yet row 1 can only lie in column 1, which is too small for it.
        ([3, 1], [1, 3], [[1, 0], [1, 1]], {"max_rounds": 200}, ["no room"]),
    ],
)
def test_bad_input_is_named(rows: Any, columns: Any, seed: Any, options: dict[str, Any], words: list[str]) -> None:  # noqa: ANN401 - whatever a caller gives
    with pytest.raises(MarginsError) as caught:
        fit_margins(rows, columns, seed, **options)
    assert isinstance(caught.value, GraphError)
    assert all(word in str(caught.value) for word in words)
