"""Notation that shocks and policies share: names in quotes where they must be, numbers in percent, exact both ways."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Final

NAME: Final = r'"(?:[^"\\]|\\.)*"|[^"@=]+?'
"""Pattern of a name: in double quotes with JSON's escapes, or bare."""

_MARKS = ("@", "=", '"', "->")
_NUMBER = re.compile(r"(?P<digits>[+-]?(?:\d[\d_]*(?:\.\d*)?|\.\d+))(?:[eE](?P<exponent>[+-]?\d{1,5}))?\s*(?P<percent>%?)")


def read_name(text: str) -> str:
    """Take a name out of its quotes.

    Raises
    ------
    ValueError
        If it is empty or not quoted as JSON quotes.

    Examples
    --------
    >>> read_name(' BTC '), read_name('"a@b"')
    ('BTC', 'a@b')
    """
    if not text.startswith('"'):
        plain = text.strip()
    else:
        try:
            plain = str(json.loads(text, strict=False))
        except json.JSONDecodeError:
            msg = f'{text} is not quoted as JSON quotes; escape \\ and " with a \\'
            raise ValueError(msg) from None
    if not plain:
        msg = "a name is empty; write the id of a node"
        raise ValueError(msg)
    return plain


def write_name(name: str) -> str:
    """Put a name into quotes where it would be misread without.

    Examples
    --------
    >>> write_name("BTC"), write_name("a@b")
    ('BTC', '"a@b"')
    """
    plain = name == name.strip() and name.isprintable() and not any(mark in name for mark in _MARKS)
    return name if plain else json.dumps(name)


def parse_number(word: str) -> float | None:
    """Read a finite number, plain, scientific or in percent; None if it is none.

    Examples
    --------
    >>> parse_number("-15%"), parse_number("1e6"), parse_number("x")
    (-0.15, 1000000.0, None)
    """
    found = _NUMBER.fullmatch(word.strip())
    if found is None:
        return None
    # shifting the exponent, not dividing, so that the nearest number to the decimal is found
    exponent = int(found["exponent"] or 0) - (2 if found["percent"] else 0)
    try:
        number = float(f"{found['digits']}e{exponent}")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def format_number(value: float, *, shift: int = 0) -> str:
    """All digits of a number, times 10**shift, with an exponent only where it is far from one.

    Examples
    --------
    >>> format_number(-0.15, shift=2), format_number(75e6), format_number(1e-9)
    ('-15', '75000000', '1e-9')
    """
    number = Decimal(repr(float(value))).scaleb(shift).normalize()
    smallest, largest = -6, 12
    near = smallest <= number.adjusted() <= largest
    return format(number, "f") if near else format(number, "e").replace("e+", "e")


def format_percent(value: float) -> str:
    """All digits of a fraction as a percentage.

    Examples
    --------
    >>> format_percent(-0.155)
    '-15.5%'
    """
    return f"{format_number(value, shift=2)}%"
