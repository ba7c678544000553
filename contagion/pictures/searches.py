"""Pictures of what the searches found, each from the answer itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contagion.pictures.pairs import draw_pairs
from contagion.pictures.severity import draw_severity

if TYPE_CHECKING:
    import os

    from contagion.search.severity import SeverityCurve
    from contagion.search.trigger_sets import TriggerSets


def draw_sweep(answer: SeverityCurve, path: str | os.PathLike[str]) -> None:
    """Draw a severity curve.

    Raises
    ------
    RunError
        If the file is no SVG or PNG, or matplotlib is not installed.
    """
    draw_severity(answer.frame, path, title=f"{answer.driver.key} on {answer.network}", x_label=f"{answer.driver.key}: part that is lost")


def draw_triggers(answer: TriggerSets, path: str | os.PathLike[str]) -> None:
    """Draw which candidates trigger, alone and in pairs.

    Raises
    ------
    RunError
        If the file is no SVG or PNG, or matplotlib is not installed.
    """
    labels, matrix = answer.matrix()
    draw_pairs(labels, matrix, path)
