"""The curve in a terminal: what it draws lies where it should, within its room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contagion.report.chart import SCALE, curve
from contagion.report.page import WIDTH, Page, percent

if TYPE_CHECKING:
    from contagion.report.page import Segment

BLANK, LAST = 0x2800, 0x28FF


def text(lines: list[list[Segment]]) -> list[str]:
    return Page(lines).text().splitlines()


def dots(lines: list[str]) -> set[tuple[int, int]]:
    """Rows and columns of cells with dots, from the top left of the chart."""
    return {(row, column - SCALE) for row, line in enumerate(lines) for column, cell in enumerate(line) if BLANK < ord(cell) <= LAST}


def test_a_rising_line_goes_from_corner_to_corner() -> None:
    found = dots(text(curve([0, 1], [0, 1], height=10, width=SCALE + 40)))
    assert {(9, 0), (0, 39)} <= found
    assert {column for _, column in found} == set(range(40))
    rows = [min(row for row, column in found if column == place) for place in range(40)]
    assert rows == sorted(rows, reverse=True)


def test_a_jump_is_joined_without_a_gap() -> None:
    found = dots(text(curve([0, 0.5, 0.5 + 1e-9, 1], [0, 0, 1, 1], height=8, width=SCALE + 30)))
    assert {row for row, _ in found} == set(range(8))


@given(
    values=st.lists(st.floats(allow_nan=True, allow_infinity=True, min_value=None, max_value=None), max_size=30),
    height=st.integers(2, 20),
    width=st.integers(SCALE + 10, WIDTH),
)
def test_any_numbers_fit(values: list[float], height: int, width: int) -> None:
    capped = np.clip(np.array(values, dtype=np.float64), -1e12, 1e12) if len(values) % 2 else np.array(values, dtype=np.float64)
    capped = np.where(np.isfinite(capped), np.clip(capped, -1e150, 1e150), capped)
    lines = text(curve(np.arange(len(values)), capped, height=height, width=width, threshold=1.0, y_text=lambda value: f"{value:.0e}"))
    assert len(lines) == height + 2
    assert max(map(len, lines)) <= width


def test_threshold_marks_and_intervals_stand_where_they_are() -> None:
    lines = text(
        curve(
            [0, 0.1, 0.2, 0.3, 0.4],
            [0, 0, 0.2, 2, 2],
            height=9,
            width=SCALE + 41,
            threshold=1.0,
            marks=[(0.2, "here"), (0.21, "covered"), (9.0, "outside")],
            shaded=[(0.3, 0.4), (0.05, 0.05), (5.0, 6.0)],
            x_text=percent,
        )
    )
    assert "here" in lines[0]
    assert "covered" not in lines[0]
    assert lines[0].index("here") - SCALE == 18
    assert lines[5].strip().startswith("1.00 ┤┄┄")
    assert lines[1][SCALE + 20] == "┊"
    strip = lines[10]
    assert [column for column in range(41) if strip[SCALE:][column : column + 1] == "▒"] == [5, *range(30, 41)]
    assert lines[-1].split("  ")[-1].strip() == "40.0 %"


def test_what_is_beyond_the_top_lies_on_it() -> None:
    lines = text(curve([0, 1, 2], [0, 1, np.inf], height=4, width=40, top=2.0))
    assert lines[0].lstrip().startswith("2.00 ┤")
    assert (0, 30) in dots(lines)


def test_a_chart_without_room_or_points_is_refused_or_empty() -> None:
    with pytest.raises(ValueError, match="as many y as x"):
        curve([1, 2], [1])
    with pytest.raises(ValueError, match="no room"):
        curve([1, 2], [1, 2], height=1)
    assert not dots(text(curve([], [])))
    assert len(dots(text(curve([3.0], [1.0])))) == 1
