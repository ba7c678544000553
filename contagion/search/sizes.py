"""Sizes as they are typed: ``-40%`` and ``40%`` both mean that so much is lost."""

from __future__ import annotations

from contagion.errors import RunError
from contagion.notation import parse_number


def parse_change(text: str) -> float:
    """A signed change from text.

    Raises
    ------
    RunError
        If it is no number.

    Examples
    --------
    >>> parse_change("-40%"), parse_change("0.5")
    (-0.4, 0.5)
    """
    number = parse_number(text.strip())
    if number is None:
        raise RunError(f"{text}: is no change; write a percentage such as -40%")
    return number


def parse_range(low: str, high: str | None) -> dict[str, float]:
    """Sizes of a sweep, as fractions lost, from two changes; nothing for an end that is not given.

    Raises
    ------
    RunError
        If one is no number.

    Examples
    --------
    >>> parse_range("0%", "-40%"), parse_range("10%", None)
    ({'low': 0.0, 'high': 0.4}, {'low': 0.1})
    """
    ends = {"low": low} | ({} if high is None else {"high": high})
    return {name: abs(parse_change(text)) for name, text in ends.items()}


def parse_values(first: str, last: str, steps: int) -> list[float]:
    """Evenly spaced values of a rule between two that were typed, rounded to ten digits.

    Raises
    ------
    RunError
        If one is no number.

    Examples
    --------
    >>> parse_values("10%", "40%", 4)
    [0.1, 0.2, 0.3, 0.4]
    """
    low, high = parse_change(first), parse_change(last)
    return [float(f"{low + (high - low) * place / (steps - 1):.10g}") for place in range(steps)]
