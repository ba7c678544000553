"""README's table: what a run prints, shortened by one rule that does not look at the figures.

Whole are the verdict, the exchanges, the stablecoins and the defaults. Of the coins the first four stand, of the facts of the day
every second one under each heading, hits and misses alike. What is left out is shown as `…`.
"""

from __future__ import annotations

import re
from typing import Final

COINS: Final = 4
GAP: Final = "…"
BLOCK: Final = re.compile(r"(<!-- table -->\n```text\n).*?(^```$)", re.MULTILINE | re.DOTALL)
"""The table in README, after its mark."""


def shorten(table: str) -> str:
    """Shorten the text of a run's ``table.txt``."""
    kept = []
    for section in table.rstrip("\n").split("\n\n"):
        lines = section.splitlines()
        if lines[0].startswith("asset "):
            lines = [*lines[: COINS + 1], GAP]
        elif lines[0].startswith("the day "):
            lines = _every_second(lines)
        elif lines[0].startswith(("step ", " ")):
            continue
        kept.append("\n".join(line.rstrip() for line in lines))
    return "\n\n".join(kept) + "\n"


def _every_second(lines: list[str]) -> list[str]:
    kept, place = [lines[0]], 0
    for line in lines[1:]:
        heading = not line.startswith(" ")
        place = 0 if heading else place + 1
        if heading or place % 2:
            kept.append(line)
    return [*kept, GAP]


def put(readme: str, table: str) -> str:
    """README with the shortened table in the place of the one that stands there."""
    return BLOCK.sub(lambda found: found[1] + shorten(table) + found[2], readme)
