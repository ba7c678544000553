"""Pictures of the search: whole SVG and PNG files with the words and colours they should have, the same bytes each time."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from lxml import etree

from contagion.errors import RunError
from contagion.pictures.liquidation_map import draw_liquidation_map
from contagion.pictures.pairs import ALONE, FOLLOWS, QUIET, RELIEVED, TOGETHER, UNKNOWN, draw_pairs, kinds_of
from contagion.pictures.severity import draw_severity, jumps, over_threshold
from contagion.pictures.style import BLUE, VERMILION
from contagion.search.levels import LiquidationMap, levels
from contagion.settings import SystemWide
from graphs.generate import random_network
from graphs.toys import one_book_ladder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SVG = "{http://www.w3.org/2000/svg}"


def words(picture: Path) -> str:
    """All text of a picture; fails on a file that is no SVG."""
    root = etree.parse(picture).getroot()
    assert root.tag == f"{SVG}svg"
    return "\n".join("".join(element.itertext()) for element in root.iter(f"{SVG}text"))


def pixels(picture: Path) -> np.ndarray[Any, Any]:
    """Colours of a picture as rows of three; fails on a file that is no PNG."""
    from matplotlib.image import imread

    head = picture.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    image = imread(picture)
    assert struct.unpack(">II", head[16:]) == (image.shape[1], image.shape[0])
    return np.rint(image[:, :, :3].reshape(-1, 3) * 255).astype(int)


def has_colour(image: np.ndarray[Any, Any], colour: str) -> bool:
    wanted = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return bool((image == wanted).all(axis=1).any())


@pytest.fixture(scope="module")
def found() -> LiquidationMap:
    return levels(random_network(seed=3, traders=90, exchanges=12), "coin-0", lowest=-0.3, highest=0.3, steps=12)


@pytest.fixture(scope="module")
def sweep() -> pd.DataFrame:
    severity = np.linspace(0.0, 0.4, 21)
    return pd.DataFrame(
        {
            "severity": severity,
            "system_wide": (severity > 0.21) & (severity < 0.31),
            "induced": np.where(severity > 0.21, 0.3, 0.01),
            "exchanges": (severity > 0.25).astype(int),
            "peg": 1 - 0.1 * severity,
            "bad_debt": np.where(severity > 0.35, np.inf, 0.0),
            "severity_ratio": 1.0,
            "liquidated_share": 2 * severity,
        }
    )


def drawings(found: LiquidationMap, sweep: pd.DataFrame) -> dict[str, Callable[[Path], None]]:
    return {
        "map": lambda path: draw_liquidation_map(found, path),
        "severity": lambda path: draw_severity(sweep, path, title="BTC down", x_label="fall of BTC"),
        "pairs": lambda path: draw_pairs(["BTC", "default:<X>", "peg"], [[0, 1, 0], [1, 0, np.nan], [0, np.nan, 1]], path),
    }


@pytest.mark.parametrize("name", ["map", "severity", "pairs"])
@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_same_data_give_the_same_bytes(found: LiquidationMap, sweep: pd.DataFrame, tmp_path: Path, name: str, suffix: str) -> None:
    draw = drawings(found, sweep)[name]
    one, two = tmp_path / f"one{suffix}", tmp_path / f"two{suffix}"
    draw(one)
    draw(two)
    assert one.read_bytes() == two.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {one.name, two.name}
    if suffix == ".png":
        assert has_colour(pixels(one), BLUE)
        assert has_colour(pixels(one), VERMILION)
    else:
        text = one.read_text(encoding="utf-8")
        assert "<dc:date>" not in text
        assert all(line == line.rstrip() for line in text.splitlines())


def test_the_map_names_prices_and_the_largest_exchanges(found: LiquidationMap, tmp_path: Path) -> None:
    draw_liquidation_map(found, tmp_path / "map.svg")
    text = words(tmp_path / "map.svg")
    totals = (found.frame["notional_usd"] + found.frame["coins_usd"]).groupby(found.frame["exchange"]).sum().sort_values(ascending=False)
    assert (totals > 0).sum() > 8
    for name in (f"coin-0 on {found.network}", totals.index[0], "the rest", "1/(1 − κρ)", "if it falls", "if it rises", "+20 %", "-20 %"):
        assert name in text, name
    assert f"\n{totals.index[-1]} " not in text


def test_a_level_that_feeds_itself_says_so(tmp_path: Path) -> None:
    ladder = one_book_ladder()
    draw_liquidation_map(levels(ladder, "COIN", lowest=-0.1, highest=0, steps=10), tmp_path / "thin.svg", title="Thin")
    deep = ladder.with_tables(market=ladder.frame("market").assign(depth=1e9))
    draw_liquidation_map(levels(deep, "COIN", lowest=-0.1, highest=0, steps=10), tmp_path / "deep.svg")
    assert "feeds itself" in words(tmp_path / "thin.svg")
    assert "Thin" in words(tmp_path / "thin.svg")
    assert "feeds itself" not in words(tmp_path / "deep.svg")


def test_an_empty_map_can_be_drawn(tmp_path: Path) -> None:
    draw_liquidation_map(levels(one_book_ladder(), "COIN", lowest=0, highest=0.1, steps=2), tmp_path / "none.svg")
    assert "0 if it rises" in words(tmp_path / "none.svg")


def test_the_severity_curve_names_its_axes_and_conditions(sweep: pd.DataFrame, tmp_path: Path) -> None:
    draw_severity(sweep.sample(frac=1.0, random_state=0), tmp_path / "shuffled.svg", title="BTC down", x_label="fall of BTC")
    draw_severity(sweep, tmp_path / "sorted.svg", title="BTC down", x_label="fall of BTC")
    text = words(tmp_path / "sorted.svg")
    for name in (
        "BTC down",
        "fall of BTC",
        "threshold",
        "system-wide",
        "(a) ",
        "(b) ",
        "(c) ",
        "(d) ",
        "≥ 100×",
        "30 %",
        "% of open interest",
    ):
        assert name in text, name
    assert (tmp_path / "shuffled.svg").read_bytes() == (tmp_path / "sorted.svg").read_bytes()


def test_sizes_need_not_be_fractions(sweep: pd.DataFrame, tmp_path: Path) -> None:
    plain = sweep.drop(columns="liquidated_share").assign(severity=np.arange(21.0), bad_debt=0.0)
    draw_severity(plain, tmp_path / "plain.svg", title="t", x_label="standard deviations", percent=False)
    text = words(tmp_path / "plain.svg")
    assert "100×" not in text
    assert "by feedback" in text
    assert "20 %" not in text
    draw_severity(plain.head(1), tmp_path / "single.svg", title="t", x_label="x")
    draw_severity(plain.head(0), tmp_path / "empty.svg", title="t", x_label="x")


def test_values_stand_over_their_own_thresholds(sweep: pd.DataFrame) -> None:
    tight = SystemWide(induced_liquidation=0.1, exchange_default=2, depeg=0.9, bad_debt=0.5)
    values = over_threshold(sweep.assign(bad_debt=0.25), tight)
    last = {name: float(value[-1]) for name, value in values.items()}
    assert last == pytest.approx({"induced": 3.0, "exchanges": 0.5, "peg": 0.4, "bad_debt": 0.5})
    assert jumps(values["induced"]) == [10]
    assert jumps(values["peg"]) == []


def test_every_pair_is_one_of_six_kinds() -> None:
    nan = np.nan
    kinds = kinds_of([[1, 1, 0, nan], [nan, 0, 1, nan], [nan, nan, 0, nan], [nan, nan, nan, nan]])
    assert kinds.tolist() == [
        [ALONE, FOLLOWS, RELIEVED, UNKNOWN],
        [FOLLOWS, QUIET, TOGETHER, UNKNOWN],
        [RELIEVED, TOGETHER, QUIET, UNKNOWN],
        [UNKNOWN] * 4,
    ]
    assert (kinds == kinds.T).all()


def test_the_matrix_counts_each_pair_once(tmp_path: Path) -> None:
    draw_pairs(["BTC", "default:<X>", "peg"], [[0, 1, 0], [1, 0, np.nan], [0, np.nan, 1]], tmp_path / "pairs.svg", title="Three")
    text = words(tmp_path / "pairs.svg")
    for name in (
        "Three",
        "default:<X>",
        "does not trigger: 2",
        "triggers alone: 1",
        "only together: 1",
        "though one of them",
        "not run: 1",
    ):
        assert name in text, name


def test_a_hundred_and_thirty_candidates_fit(tmp_path: Path) -> None:
    labels = [f"default:trader-{place}" for place in range(130)]
    draw_pairs(labels, np.eye(130), tmp_path / "many.svg")
    assert "default:trader-128" in words(tmp_path / "many.svg")
    assert (tmp_path / "many.svg").stat().st_size < 3_000_000


def test_errors_say_what_to_do(monkeypatch: pytest.MonkeyPatch, sweep: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"let its name end in \.svg or \.png"):
        draw_severity(sweep, tmp_path / "picture.jpeg", title="t", x_label="x")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(RunError, match=r"pip install 'contagion-graph\[plot\]'"):
        draw_severity(sweep, tmp_path / "picture.svg", title="t", x_label="x")
    assert not list(tmp_path.iterdir())
