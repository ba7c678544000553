"""Linear solves: every way of solving meets its certificate, and singular systems say so."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import block_diag, csr_array, random_array

from contagion.models import solvers
from contagion.models.solvers import CERTIFICATE, Gain, solve


def drawn(kind: str, n: int) -> csr_array:
    """Gains with a spectral radius under one."""
    rng = np.random.default_rng(n)
    if kind == "chain":
        matrix = csr_array((np.full(n - 1, 5.0), (np.arange(1, n), np.arange(n - 1))), shape=(n, n))
    elif kind == "islands":
        matrix = csr_array(block_diag([rng.random((10, 10)) / 11 for _ in range(n // 10)]))
        matrix = csr_array(matrix + csr_array((np.ones(n // 2), (np.arange(n // 2), np.arange(n // 2) + n // 2)), shape=(n, n)))
    elif kind == "ring":
        matrix = csr_array((np.full(n, 0.99999), ((np.arange(n) + 1) % n, np.arange(n))), shape=(n, n))
    else:
        matrix = csr_array(random_array((n, n), density=5 / n, rng=rng))
        matrix = matrix * (0.99 / float(np.asarray(matrix.sum(axis=0)).max()))
    return csr_array(matrix)


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("columns", [1, 5])
@pytest.mark.parametrize(("kind", "n"), [("random", 20), ("random", 200), ("random", 450), ("chain", 300), ("islands", 400), ("ring", 420)])
def test_every_way_meets_the_certificate(*, kind: str, n: int, columns: int, dense: bool) -> None:
    matrix = drawn(kind, n)
    rng = np.random.default_rng(1)
    active = rng.random((n, columns)) < 0.8
    active[:, 0] = True
    right = rng.random((n, columns))
    if kind == "chain":
        matrix = csr_array(matrix * 0.2)
    for factor in (None, rng.random((n, columns))):
        gain = Gain(matrix.toarray() if dense else matrix, factor)
        x, residual = solve(gain, active, right)
        assert (residual <= CERTIFICATE).all()
        for column in range(columns):
            rows = np.flatnonzero(active[:, column])
            part = matrix.toarray()[np.ix_(rows, rows)] * (1.0 if factor is None else factor[rows, column])
            np.testing.assert_allclose(
                x[rows, column], np.linalg.solve(np.eye(rows.size) - part, right[rows, column]), rtol=1e-7, atol=1e-12
            )
            assert not x[~active[:, column], column].any()


def test_small_components_are_factorised_without_fill(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of a hundred thousand nodes has no inverse worth naming, and factors as large as itself."""
    filled = []
    from scipy.sparse import linalg

    factors = linalg.splu

    def counting(system: csr_array, **options: object) -> object:
        found = factors(system, **options)
        filled.append((found.L.nnz + found.U.nnz) / system.nnz)
        return found

    monkeypatch.setattr(linalg, "splu", counting)
    n = 100_000
    order = np.random.default_rng(0).permutation(n)
    matrix = csr_array((np.full(n - 1, 0.5), (order[1:], order[:-1])), shape=(n, n))
    right = np.zeros((n, 1))
    right[order[0]] = 1.0
    monkeypatch.setattr(solvers, "FEW_STEPS", 1)
    x, residual = solve(Gain(matrix), np.ones((n, 1), dtype=bool), right)
    assert residual[0] <= CERTIFICATE
    np.testing.assert_allclose(x[order[:60], 0], 0.5 ** np.arange(60))
    assert max(filled) < 2.5


@pytest.mark.parametrize("n", [2, 100])
def test_a_singular_column_is_reported_and_spoils_no_other(n: int) -> None:
    matrix = np.zeros((n, n))
    matrix[0, 1] = matrix[1, 0] = 1.0
    active = np.ones((n, 2), dtype=bool)
    active[0, 1] = False
    x, residual = solve(Gain(matrix), active, np.ones((n, 2)))
    assert not residual[0] <= CERTIFICATE
    assert residual[1] <= CERTIFICATE
    assert x[1, 1] == 1.0
