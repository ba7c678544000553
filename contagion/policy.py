"""Policies: edits of the rules of exchanges, of their markets and of their margin brackets, in force before the shock.

Accounts that the new rules leave short of initial margin are brought back to it first, ``scale`` by cutting positions or
``margin`` by adding cash, and what that took is reported: see :mod:`contagion.restoration`. As a file::

    name = "caps"
    restore = "scale"
    edits = ["leverage_cap=20", "haircut:USDe=30%", "mark_oracle=median", "fund=x2"]
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, field_validator

from contagion.documents import read_toml, remedy_for, to_toml, validate
from contagion.edits import RULES, Edit, EditLike, in_range, parse_edit
from contagion.errors import PolicyError
from contagion.restoration import AdjustmentReport, Restore, restore
from contagion.rows import with_column

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from graphs.network import Network

__all__ = ["AdjustmentReport", "Edit", "Policy", "apply_policy", "load_policy", "parse_edit"]

_MARGINS: Final = frozenset({"leverage_cap", "haircut", "index_weight", "mark_oracle", "collateral_oracle", "outlier", "redemption_weight"})
"""Rules on which margin balances or initial margins depend."""


class Policy(BaseModel):
    """Edits that are in force together.

    Attributes
    ----------
    name, description
        What it is called, and what it is about.
    restore
        How accounts that fall short of initial margin by it are restored: ``scale`` cuts positions, ``margin`` adds cash.
    edits
        What changes, in order: a later edit overrides an earlier one where both apply.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(default="custom", min_length=1)
    description: str = ""
    restore: Restore = "scale"
    edits: tuple[EditLike, ...] = ()

    @field_validator("edits")
    @classmethod
    def _once(cls, edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
        twice = [key for key, count in Counter(edit.key for edit in edits).items() if count > 1]
        if twice:
            texts = " and ".join(str(edit) for edit in edits if edit.key == twice[0])
            msg = f"{texts} change the same; keep one of them"
            raise ValueError(msg)
        return edits

    @classmethod
    def from_texts(cls, texts: Iterable[str], *, name: str = "custom") -> Policy:
        """Policy of these edits; ``restore=scale`` or ``restore=margin`` may stand among them.

        Raises
        ------
        PolicyError
            If a text is no edit, or two change the same.
        """
        data: dict[str, Any] = {"name": name, "edits": []}
        for text in texts:
            key, _, value = text.partition("=")
            if key.strip() == "restore":
                data["restore"] = value.strip()
            else:
                data["edits"].append(parse_edit(text))
        return validate(cls, data, f"policy {name}", PolicyError)

    @classmethod
    def from_toml(cls, path: Path | str) -> Policy:
        """Read a file; without a name in it, the policy is called as the file.

        Raises
        ------
        PolicyError
            If the file is not there, is no TOML, or is no policy; every error is listed with its path.
        """
        path = Path(path)
        data = read_toml(path, PolicyError)
        return validate(cls, {"name": path.stem, **data}, str(path), PolicyError)

    def to_toml(self) -> str:
        """Text of a file that reads back equal."""
        data = {"name": self.name, **self.model_dump(exclude_defaults=True)}
        if self.edits:
            data["edits"] = [str(edit) for edit in self.edits]
        return to_toml(data)


def load_policy(sources: Sequence[str]) -> Policy:
    """Policy from what was typed: the path of one file, or edits.

    Raises
    ------
    PolicyError
        If it is neither.
    """
    if len(sources) == 1 and sources[0].endswith(".toml"):
        return Policy.from_toml(sources[0])
    return Policy.from_texts(sources)


def apply_policy(net: Network, policy: Policy) -> tuple[Network, AdjustmentReport]:
    """Bring a policy into force on a network that passes its checks.

    Returns
    -------
    tuple
        The network under the new rules, and what it took to restore accounts.

    Raises
    ------
    PolicyError
        If an edit names what the network does not have, hits nothing, or accounts cannot be restored.

    Examples
    --------
    >>> from graphs.toys import one_book_ladder
    >>> capped, report = apply_policy(one_book_ladder(), Policy.from_texts(["leverage_cap=10"]))
    >>> report.accounts, float(capped.numbers("margin", "quantity").sum())
    (4, 0.0)
    """
    wrong = [f"{edit}: {problem}" for edit in policy.edits for problem in _misfits(net, edit)]
    if wrong:
        head = f"policy {policy.name} does not fit network {net.name}: "
        raise PolicyError(head + (wrong[0] if len(wrong) == 1 else "\n" + "\n".join(f"  {line}" for line in wrong)))
    after = net
    for edit in policy.edits:
        after = _edited(after, edit)
    if any(edit.rule in _MARGINS for edit in policy.edits):
        return restore(net, after, how=policy.restore)
    return after, AdjustmentReport.nothing(net, policy.restore)


def _misfits(net: Network, edit: Edit) -> list[str]:
    """What an edit names and the network does not have."""
    exchanges, coins = net.node_ids("exchange"), net.node_ids("asset") + net.node_ids("stablecoin")
    known = exchanges if RULES[edit.rule].table == "exchange" else coins if edit.exchange else exchanges + coins
    kind = "exchange" if known is exchanges else "coin" if known is coins else "exchange or coin"
    wrong = []
    if edit.target and edit.target not in known:
        wrong.append(f"{edit.target} is no {kind} of the network; {remedy_for(edit.target, sorted(known))}")
    if edit.exchange and edit.exchange not in exchanges:
        wrong.append(f"{edit.exchange} is no exchange of the network; {remedy_for(edit.exchange, sorted(exchanges))}")
    if edit.rule == "vault" and edit.value is not None and not _is_trader(net, str(edit.value)):
        wrong.append(f"{edit.value} is no trader of the network; name a trader, or none")
    return wrong


def _is_trader(net: Network, name: str) -> bool:
    return bool(net.count("trader")) and bool(pc.any(pc.equal(net.column("trader", "id").cast(pa.string()), name)).as_py())


def _scope(net: Network, edit: Edit) -> NDArray[np.bool_]:
    """Rows that an edit changes."""
    rule = RULES[edit.rule]
    rows = np.ones(net.count(rule.table), dtype=np.bool_)
    if not rows.size:
        raise PolicyError(f"{edit}: network {net.name} has no table {rule.table}; add it")
    if rule.table == "exchange":
        return net.strings("exchange", "id") == edit.target if edit.target else rows
    if edit.exchange:
        rows &= net.strings(rule.table, "exchange") == edit.exchange
    if edit.target:
        is_exchange = not edit.exchange and edit.target in net.node_ids("exchange")
        rows &= net.strings(rule.table, "exchange" if is_exchange else "asset") == edit.target
    if edit.rule == "haircut" and not edit.exchange:
        # a larger haircut must not make anybody accept what it did not accept
        rows &= net.numbers("market", "collateral_haircut") < 1
    return rows


def _edited(net: Network, edit: Edit) -> Network:
    rule = RULES[edit.rule]
    column = rule.schema
    rows = _scope(net, edit)
    if not rows.any():
        what = (
            "accepts it as collateral; name the exchange: haircut:COIN@EXCHANGE"
            if edit.rule == "haircut"
            else f"has a row in table {rule.table}"
        )
        raise PolicyError(f"{edit}: no exchange {what}")
    values: NDArray[Any] = net.strings(rule.table, rule.column) if column.dtype == "string" else net.numbers(rule.table, rule.column)
    if edit.factor and isinstance(edit.value, float):
        scaled = values[rows] * edit.value
        values[rows] = np.clip(scaled, column.low if edit.rule == "leverage_cap" else None, 1.0 if edit.rule == "haircut" else None)
        bad = [value for value in values[rows].tolist() if not np.isnan(value) and not in_range(column, float(value))]
        if bad:
            raise PolicyError(f"{edit}: makes a {rule.column} of {bad[0]:g}, which is out of range; choose another factor")
    elif edit.rule == "leverage_cap" and isinstance(edit.value, float):
        values[rows] = np.minimum(values[rows], edit.value)
    elif edit.value is None:
        values[rows] = "" if column.dtype == "string" else np.nan
    else:
        values[rows] = edit.value
    # empty text and NaN are empty cells
    cells = pa.array([value or None for value in values], pa.string()) if column.dtype == "string" else pa.array(values, from_pandas=True)
    return net.with_tables(**{rule.table: with_column(net.tables[rule.table], rule.column, cells)})
