"""The least solution y ≥ 0 of y = min(cap, drive + A(f ∘ y)), A ≥ 0: distress that grows until it is total.

What DebtRank is (cap 1, drive the shock, A the exposures over equity) and what clearing from below comes to. Where A
has a spectral radius under one as far as the drive reaches, the solution is the only one; beyond, others lie above it and
only what is reached from below counts. So each column goes through:

- *Climb*: plain (Picard) steps from zero. Every iterate is a lower bound, so what reaches its cap is held there for good. Where
  they contract fast they end the matter.
- *Solve* what is not held. A solution x ≥ 0 that meets its equation node by node proves that there the spectral radius is
  below one (Perron and Frobenius), hence that there is one solution only. Tiny components that defy this are proved by a w > 0 with
  w > Aw (Collatz 1942, Wielandt 1950).
- *Policies* (Howard 1960), once that is proved: fix who is at the cap, solve for the others, fix {drive + Ay ≥ cap}, and so
  on. From the second step the iterates only fall, and they end after finitely many solves.
- *Lift*, where nothing is proved and plain steps reach no further cap: the solution for θA with θ < 1 as large as the caps
  allow is a lower bound that touches one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contagion.models.errors import ModelError
from contagion.models.solvers import CERTIFICATE, TIGHT, Gain, solve

if TYPE_CHECKING:
    from contagion.arrays import Flags, Floats

MOST_POLICIES, PLAIN_STEPS, NEUMANN = 200, 400, 6
LULL, PATIENCE, READY = 4, 30, 0.9
"""Plain steps without a new cap before their rate is judged, how many more beat a solve, and the share of columns that decides."""

LOOSE = 1e-3
RELATIVE = 1e-10
"""Node by node residual that proves a solution to be the only one."""

ROUNDING, TOUCH = 1e-15, 1e-9
"""Relative distance to a cap that is none, and one that the next moment closes."""


@dataclass
class Count:
    """How many linear systems were solved, of all columns together and for the column that needed most."""

    total: int = 0
    rounds: int = 0

    def add(self, columns: int) -> None:
        """Note one solve of so many columns."""
        self.total += columns
        self.rounds += 1


def least_capped(gain: Gain, drive: Floats, cap: Floats, count: Count) -> Floats:
    """Solve every column.

    Parameters
    ----------
    gain
        A and f.
    drive, cap
        n × m, non-negative; a cap may be ∞.
    count
        Told about the linear solves.

    Raises
    ------
    ModelError
        If no solution is found, or none is finite where a cap is infinite.

    Notes
    -----
    Below criticality cost O(non-zeros × columns) for each of some ten plain steps and of the steps of typically one to three solves.
    """
    result, low = np.zeros_like(drive), np.zeros_like(drive)
    held = np.zeros(drive.shape, dtype=bool)
    todo = np.arange(drive.shape[1])
    patient = False
    while todo.size:
        at, push, bound = gain.at(todo), drive[:, todo], cap[:, todo]
        low, open_ = _climb(at, push, bound, low, patient=patient)
        before, held = held, low >= bound
        result[:, todo[~open_]] = low[:, ~open_]
        some = np.flatnonzero(open_)
        if some.size:
            solved, proved = _solve_rest(
                at.at(some), push[:, some], bound[:, some], held[:, some], low[:, some], count=count, thorough=patient
            )
            result[:, todo[some[proved]]] = solved[:, proved]
            open_[some[proved]] = False
        for column in np.flatnonzero(open_ & patient & (held == before).all(axis=0)):
            one = np.array([column])
            base = push[:, one] + at.at(one).times(np.where(held[:, one], bound[:, one], 0.0))
            live = reached(gain, (low[:, one] > 0) | (base > 0)) & ~held[:, one]
            lifted, touches = _lift(at.at(one), base, bound[:, one], live, count)
            low[:, one] = np.where(live, np.maximum(low[:, one], lifted), low[:, one])
            if not touches:
                result[:, todo[column]], open_[column] = low[:, column], False
        todo, low, held, patient = todo[open_], low[:, open_], held[:, open_], True
    return result


def _climb(gain: Gain, drive: Floats, cap: Floats, low: Floats, *, patient: bool) -> tuple[Floats, Flags]:
    """Plain steps from a lower bound, as long as they are the fastest way on; and which columns are still open.

    ``patient`` is for columns beyond criticality, where only further caps help: it waits for them.
    """
    open_ = np.ones(drive.shape[1], dtype=bool)
    first = (low >= cap).sum(axis=0)
    quiet, full = np.zeros(open_.size, dtype=np.int64), first
    changes = np.full((4, open_.size), np.nan)
    for _ in range(PLAIN_STEPS):
        image = np.maximum(low, np.minimum(cap, drive + gain.times(low)))
        change = (image - low).max(axis=0, initial=0.0)
        low = image
        open_ = change > ROUNDING * low.max(axis=0, initial=0.0)
        now = (low >= cap).sum(axis=0)
        quiet = np.where(now == full, quiet + 1, 0)
        full = now
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = (change / changes[0]) ** (1.0 / len(changes))
            more = np.log(ROUNDING * low.max(axis=0, initial=0.0) / change) / np.log(rate)
        changes = np.vstack([changes[1:], change])
        ready = (quiet >= LULL) & (now > first) if patient else (quiet >= LULL) & (rate < 1.0) & (more > PATIENCE)
        if not open_.any() or ready[open_].mean() >= READY:
            break
    return low, open_


def _solve_rest(gain: Gain, drive: Floats, cap: Floats, held: Flags, low: Floats, *, count: Count, thorough: bool) -> tuple[Floats, Flags]:
    """Solve what is not held at its cap, and say which columns are proved to be solved."""
    base = drive + gain.times(np.where(held, cap, 0.0))
    x, residual = solve(gain, ~held, base, start=low, thorough=thorough)
    count.add(residual.size)
    sane = residual <= CERTIFICATE
    y = np.where(held, cap, np.where(sane, x, 0.0))
    for _ in range(3):
        image = np.where(held, cap, drive + gain.times(y))
        proved = sane & (np.abs(image - y) <= RELATIVE * y).all(axis=0)  # as y ≥ 0 where this holds
        if (proved | ~sane).all():
            break
        y = image  # brings small components to their own scale
    result = np.where(held, cap, np.clip(image, 0.0, cap))
    limit, guess = cap, image
    more = proved & ((image >= cap) & ~held).any(axis=0)
    bad = np.flatnonzero(~proved)
    if bad.size and thorough:
        some = gain.at(bad)
        alive = reached(some, (low[:, bad] > 0) | (base[:, bad] > 0))
        proved[bad] = is_subcritical(some, alive & ~held[:, bad], count)
        more[bad] = proved[bad]
        limit, guess = cap.copy(), image.copy()
        limit[:, bad] = np.where(alive, cap[:, bad], 0.0)  # a loop that nothing reaches stays at zero
        guess[:, bad] = low[:, bad]
    todo = np.flatnonzero(more)
    if todo.size:
        start = np.clip(guess[:, todo], 0.0, limit[:, todo])
        result[:, todo] = _by_policies(gain.at(todo), drive[:, todo], limit[:, todo], start, count)
    return result, proved


def is_subcritical(gain: Gain, active: Flags, count: Count) -> Flags:
    """Whether the spectral radius on the active nodes is proved to be below one, by column; False also means not proved."""
    ones = active.astype(np.float64)
    term, total = ones, ones.copy()
    proved = np.zeros(active.shape[1], dtype=bool)
    todo = np.arange(active.shape[1])
    for _ in range(NEUMANN):  # w = Σ A^k·1 has w - Aw = 1 - A^K·1
        term = np.where(active[:, todo], gain.at(todo).times(term), 0.0)
        done = term.max(axis=0, initial=0.0) < 1.0
        proved[todo[done]] = True
        todo, term = todo[~done], term[:, ~done]
        if not todo.size:
            return proved
        total = total[:, ~done] + term
    for tolerance in (LOOSE, TIGHT):
        mask = active[:, todo]
        some = gain.at(todo)
        w, residual = solve(some, mask, ones[:, todo], start=total, tolerance=tolerance)
        count.add(todo.size)
        with np.errstate(invalid="ignore"):
            good = np.isfinite(residual) & ((w > 0) | ~mask).all(axis=0) & ((w > some.times(np.where(mask, w, 0.0))) | ~mask).all(axis=0)
        proved[todo[good]] = True
        todo, total = todo[~good], np.nan_to_num(w[:, ~good], nan=0.0, posinf=0.0, neginf=0.0)
        if not todo.size:
            break
    return proved


def _by_policies(gain: Gain, drive: Floats, cap: Floats, y: Floats, count: Count) -> Floats:
    """Below criticality: who is at the cap, what the others are, until that is settled; from any guess ``y``."""
    result = y.copy()
    todo = np.arange(drive.shape[1])
    loose = np.full(todo.size, LOOSE)
    for _ in range(MOST_POLICIES):
        at, bound, push = gain.at(todo), cap[:, todo], drive[:, todo]
        fixed = y >= bound
        held = np.where(fixed, bound, 0.0)
        x, residual = solve(at, ~fixed, push + at.times(held), start=y, tolerance=float(loose.min()))
        count.add(todo.size)
        y = np.where(fixed, bound, x)
        reached = push + at.times(y)
        same = ((reached >= bound * (1.0 - ROUNDING)) == fixed).all(axis=0)
        image = np.clip(reached, 0.0, bound)
        gap = np.abs(np.clip(push + at.times(image), 0.0, bound) - image).max(axis=0, initial=0.0)
        tie = gap <= 4 * TIGHT * image.max(axis=0, initial=0.0)
        tight = loose <= TIGHT
        done = tight & (same | tie) & (residual <= CERTIFICATE)
        if (tight & same & ~done).any():
            raise ModelError(f"a linear system stopped at a residual of {residual.max():.1e}; the network is too close to criticality")
        result[:, todo[done]] = image[:, done]
        y, loose = np.where(same, np.clip(y, 0.0, bound), image), np.where(same | tight, TIGHT, LOOSE)
        todo, y, loose = todo[~done], y[:, ~done], loose[~done]
        if not todo.size:
            return result
    raise ModelError(f"{todo.size} columns did not settle in {MOST_POLICIES} linear solves; the network is too close to criticality")


def reached(gain: Gain, seen: Flags) -> Flags:
    """Nodes that others reach along A, these included: a walk each for few columns, all at once for many."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order

    n, m = seen.shape
    if m > 4:  # noqa: PLR2004 few
        while True:
            more = seen | (gain.matrix @ seen.astype(np.float64) > 0)
            if (more == seen).all():
                return np.asarray(seen)
            seen = more
    seen = seen.copy()
    onward = csr_array(csr_array(gain.matrix).T)  # j → i where A_ij > 0
    for column in range(m):
        starts = np.flatnonzero(seen[:, column])
        pointer = np.append(onward.indptr, onward.indptr[-1] + starts.size)
        indices, data = np.append(onward.indices, starts), np.append(onward.data, np.ones(starts.size))
        walk = csr_array((data, indices, pointer), shape=(n + 1, n + 1))
        order = breadth_first_order(walk, n, return_predecessors=False)
        seen[order[order < n], column] = True
    return seen


def _lift(gain: Gain, base: Floats, cap: Floats, live: Flags, count: Count) -> tuple[Floats, bool]:
    """A lower bound that touches a cap, and whether there is one.

    For θ < 1 the solution of c = base + θAc, as far as it is non-negative and under the caps, is a lower bound: a system with less
    gain. It grows without bound towards the pole, so that before it, at some θ < 1, it touches a cap. θ is halved towards that point.
    """
    bottom, top, needed = 0.0, 1.0, np.inf
    low = np.where(live, np.minimum(base, cap), 0.0)
    while needed > 1.0 + TOUCH:
        theta = 0.5 * (bottom + top)
        if not bottom < theta < top:
            break
        factor = np.full(base.shape, theta) if gain.factor is None else theta * gain.factor
        x, residual = solve(Gain(gain.matrix, factor), live, base, start=low)
        count.add(1)
        if residual[0] <= CERTIFICATE and (x >= 0).all() and (x <= cap)[live].all():
            bottom, low = theta, x
            room = live & (x > 0)
            needed = float(np.min(cap[room] / x[room], initial=np.inf))
        else:
            top = theta
    if needed < np.inf and top < 1.0:
        return np.where(live & (low * (needed * (1.0 + TOUCH)) >= cap), cap, low), True
    if np.isinf(cap[live]).all():
        raise ModelError("distress grows without bound and no cap stops it: the spectral radius is 1 or more")
    return low, False
