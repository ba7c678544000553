"""Policies: an edit and its text are the same thing, it changes its cells and no others, and what does not fit is refused."""

from __future__ import annotations

import math
import tomllib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contagion.edits import RULES, Edit
from contagion.errors import PolicyError
from contagion.policy import Policy, apply_policy, load_policy, parse_edit
from graphs.toys import one_book_ladder, two_exchange_stablecoin

if TYPE_CHECKING:
    from pathlib import Path

    from graphs.network import Network

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


def _ruled(net: Network, texts: list[str]) -> Network:
    """The network under the new rules, nobody restored."""
    done, _ = apply_policy(net, Policy.from_texts(texts))
    return done.with_tables(margin=net.tables["margin"], collateral=net.tables["collateral"])


def test_a_policy_without_edits_leaves_the_network_alone() -> None:
    net = two_exchange_stablecoin()
    same, report = apply_policy(net, Policy())
    assert same is net
    assert [row.exchange for row in report.exchanges] == net.node_ids("exchange")
    assert (report.accounts, report.positions_cut_usd, report.margin_added_usd) == (0, 0, 0)


@pytest.mark.parametrize(
    ("text", "table", "column", "rows", "value"),
    [
        ("fund=x2", "exchange", "insurance_fund", {"Deep": 400.0, "Thin": 400.0}, None),
        ("fund:Thin=5e8", "exchange", "insurance_fund", {"Thin": 5e8}, None),
        ("mark_oracle=median", "exchange", "mark_oracle", {"Deep": "median", "Thin": "median"}, None),
        ("collateral_oracle:Deep=index", "exchange", "collateral_oracle", {"Deep": "index"}, None),
        ("liquidation=target", "exchange", "liquidation", {"Deep": "target", "Thin": "target"}, None),
        ("loss_rule:Thin=none", "exchange", "loss_rule", {"Thin": "none"}, None),
        ("halt_rounds=5", "exchange", "halt_rounds", {"Deep": 5, "Thin": 5}, None),
        ("arbitrage_open:Deep=off", "exchange", "arbitrage_open", {"Deep": False}, None),
        ("backstop:Thin=66%", "exchange", "backstop", {"Thin": 0.66}, None),
        ("vault:Thin=Short", "exchange", "vault", {"Thin": "Short"}, None),
        ("price_band=10%", "market", "price_band", {}, ("", "", 0.1)),
        ("price_band:BTC=10%", "market", "price_band", {}, ("", "BTC", 0.1)),
        ("price_band:Thin=10%", "market", "price_band", {}, ("Thin", "", 0.1)),
        ("index_weight:BTC@Thin=0.5", "market", "index_weight", {}, ("Thin", "BTC", 0.5)),
        ("haircut:USDX@Thin=30%", "market", "collateral_haircut", {}, ("Thin", "USDX", 0.3)),
        ("leverage_cap:BTC@Thin=1", "margin_tier", "max_leverage", {}, ("Thin", "BTC", 1.0)),
    ],
)
def test_an_edit_changes_its_cells_and_no_others(
    text: str, table: str, column: str, rows: dict[str, Any], value: tuple[str, str, Any] | None
) -> None:
    net = two_exchange_stablecoin()
    after = _ruled(net, [text])
    before, now = net.frame(table), after.frame(table)
    if value is None:
        expected = [rows.get(name, old) for name, old in zip(before["id"], before[column], strict=True)]
    else:
        venue, coin, new = value
        expected = [
            new if venue in ("", row["exchange"]) and coin in ("", row["asset"]) else row[column] for row in before.to_dict("records")
        ]
    pd.testing.assert_series_equal(now[column], pd.Series(expected, name=column), check_dtype=False)
    pd.testing.assert_frame_equal(now.drop(columns=column), before.drop(columns=column))
    others = {kind: after.tables[kind] for kind in net.tables if kind != table}
    assert net.with_tables(**others).equals(net)


def test_a_cap_lowers_leverage_and_never_raises_it() -> None:
    net = two_exchange_stablecoin()
    was, now = (of.numbers("margin_tier", "max_leverage") for of in (net, _ruled(net, ["leverage_cap=20"])))
    assert np.array_equal(now, np.minimum(was, 20))
    assert np.array_equal(_ruled(net, ["leverage_cap=x0.01"]).numbers("margin_tier", "max_leverage"), np.maximum(was * 0.01, 1))


def test_a_haircut_for_all_reaches_only_those_who_accept_the_coin() -> None:
    net = two_exchange_stablecoin()
    was, now = (of.numbers("market", "collateral_haircut") for of in (net, _ruled(net, ["haircut=x3"])))
    assert np.any(was == 1)
    assert now == pytest.approx(np.where(was < 1, np.minimum(3 * was, 1), was))


def test_a_later_edit_overrides_and_an_empty_rule_is_none() -> None:
    net = _ruled(
        two_exchange_stablecoin(),
        ["backstop=66%", "backstop:Thin=none", "price_band=5%", "price_band:BTC=none", "vault=Short", "vault:Thin=none"],
    )
    assert net.frame("exchange")["backstop"].tolist() == pytest.approx([0.66, math.nan], nan_ok=True)
    assert net.strings("exchange", "vault").tolist() == ["Short", ""]
    assert np.array_equal(np.isnan(net.numbers("market", "price_band")), net.strings("market", "asset") == "BTC")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not read as an edit; write rule"),
        ("leverage_cap", "does not read as an edit"),
        ("leverage_cap=", "needs a value"),
        ("leverage_cap=0.5", "0.5 is no leverage_cap; write a number from 1"),
        ("leverage_cap=x2", "x2 is no cap; write a factor above 0, at most 1"),
        ("leverage_kap=5", "leverage_kap is no rule; did you mean 'leverage_cap'"),
        ("haircut:USDX=130%", "1.3 is no haircut; write a number from 0 up to 1"),
        ("haircut=none", "none is no haircut; write a value"),
        ("price_band=0", "0 is no price_band; write a number above 0"),
        ("halt_rounds=1.5", "1.5 is no halt_rounds; write a whole number from 1"),
        ("liquidation=targt", "targt is no liquidation; did you mean 'target'"),
        ("outage=yes", "yes is no outage; write on or off"),
        ("outage=x2", "x2 is no outage"),
        ("fund=x0", "x0 is no factor"),
        ("fund=many", "many is no insurance_fund; write a number from 0"),
        ("fund:BTC@Deep=5", "insurance_fund is a rule of exchanges, not of coins; write insurance_fund:Deep"),
        ("haircut@Deep=5%", "names an exchange but no coin; write haircut:Deep"),
        ('haircut:"=5%', "does not read as an edit"),
    ],
)
def test_what_is_no_edit_is_refused_with_a_remedy(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_edit(text)
    assert str(caught.value).startswith(f"policy '{text}': ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("leverage_cap:Dep=5", "Dep is no exchange or coin of the network; did you mean 'Deep'"),
        ("fund:BTC=5", "BTC is no exchange of the network; known are Deep, Thin"),
        ("haircut:BTC@OKX=5%", "OKX is no exchange of the network"),
        ("vault:Thin=Nobody", "Nobody is no trader of the network"),
        ("leverage_cap:USDX=5", "no exchange has a row in table margin_tier"),
        ("slice_fraction=x9", "makes a slice_fraction of 1.8, which is out of range"),
    ],
)
def test_what_does_not_fit_the_network_is_refused(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        apply_policy(two_exchange_stablecoin(), Policy.from_texts([text]))
    assert message in str(caught.value)


def test_a_coin_that_nobody_accepts_has_no_haircut_to_raise() -> None:
    with pytest.raises(PolicyError, match="no exchange accepts it as collateral; name the exchange: haircut:COIN@EXCHANGE"):
        apply_policy(one_book_ladder(), Policy.from_texts(["haircut:COIN=5%"]))


@st.composite
def edits(draw: st.DrawFn) -> Edit:
    rule = draw(st.sampled_from(sorted(RULES)))
    column = RULES[rule].schema
    target = draw(st.just("") | WORDS)
    exchange = draw(WORDS) if target and RULES[rule].table != "exchange" and draw(st.booleans()) else ""
    values: list[st.SearchStrategy[Any]] = [st.none()] if column.default is None and not column.required else []
    if column.dtype == "bool":
        values.append(st.booleans())
    elif column.dtype == "string":
        values.append(st.sampled_from(column.choices) if column.choices else WORDS | st.sampled_from(["none", "x2", " edge"]))
    elif column.dtype == "int":
        values.append(st.integers(1, 10**6).map(float))
    else:
        low, high = (bound if bound is not None else 1e12 for bound in (column.low, column.high))
        values.append(st.floats(low if column.low is not None else 0.0, high, exclude_min=column.open_low))
    factor = column.dtype in {"float", "int"} and draw(st.booleans())
    value = draw(st.floats(1e-6, 1.0) if factor else st.one_of(values))
    return Edit(rule=rule, target=target, exchange=exchange, value=value, factor=factor)


@given(edits())
def test_an_edit_is_read_back_from_its_text_exactly(edit: Edit) -> None:
    assert parse_edit(str(edit)) == edit


@given(WORDS, st.just("") | WORDS, st.sampled_from(["scale", "margin"]), st.lists(edits(), max_size=4, unique_by=lambda edit: edit.key))
def test_a_policy_is_read_back_from_its_file_exactly(name: str, about: str, restore: Any, changes: list[Edit]) -> None:  # noqa: ANN401
    policy = Policy(name=name, description=about, restore=restore, edits=tuple(changes))
    assert Policy.model_validate(tomllib.loads(policy.to_toml())) == policy


def test_a_policy_comes_from_texts_or_from_one_file(tmp_path: Path) -> None:
    path = tmp_path / "caps.toml"
    path.write_text('restore = "margin"\nedits = ["leverage_cap=20", { rule = "fund", value = 2, factor = true }]\n', encoding="utf-8")
    policy = load_policy([str(path)])
    assert policy.name == "caps"
    assert policy.edits == load_policy(["leverage_cap=20", "fund=x2", "restore=margin"]).edits
    assert policy.restore == "margin"
    path.write_text('restor = "margin"\nedits = ["leverage_cap=0", 3]\n', encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        load_policy([str(path)])
    assert [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]] == ["edits[0]", "edits[1]", "restor"]


def test_two_edits_of_the_same_are_refused() -> None:
    with pytest.raises(PolicyError, match="leverage_cap=20 and leverage_cap=10 change the same"):
        Policy.from_texts(["leverage_cap=20", "leverage_cap=10"])
    with pytest.raises(PolicyError, match="restore: input should be 'scale' or 'margin', but it is 'cut'"):
        Policy.from_texts(["restore=cut"])
