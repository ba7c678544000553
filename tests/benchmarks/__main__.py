"""Run the benchmarks and print their table."""

from __future__ import annotations

import argparse
import sys
import time
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from tests import benchmarks
from tests.benchmarks.measure import DisagreementError, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

HEADER = Row("work", "reference", "ours", "ratio", "asked for")


def groups() -> dict[str, Callable[..., Iterable[Row]]]:
    """Find every module of the benchmarks that has rows, by name."""
    names = [entry.name for entry in iter_modules(benchmarks.__path__) if entry.name != "__main__"]
    modules = {name: import_module(f"{benchmarks.__name__}.{name}") for name in names}
    return {name: module.rows for name, module in modules.items() if hasattr(module, "rows")}


def main() -> int:
    """Measure what was asked for; 1 if two sides disagreed."""
    found = groups()
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=benchmarks.__doc__)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes: only show that everything runs and agrees")
    parser.add_argument("--only", choices=sorted(found), metavar="NAME", help=f"one group of {', '.join(sorted(found))}")
    options = parser.parse_args()
    rows, failed = [HEADER], False
    for name in [options.only] if options.only else sorted(found):
        began = time.perf_counter()
        try:
            rows += found[name](smoke=options.smoke)
        except DisagreementError as error:
            failed = True
            print(f"{name}: the sides disagree: {error}", file=sys.stderr)
        print(f"{name}: {time.perf_counter() - began:.1f} s", file=sys.stderr, flush=True)
    show(rows)
    if options.smoke and not failed:
        print("\nsmall sizes: that both sides agree is what this shows, the ratios mean nothing")
    return int(failed)


def show(rows: Sequence[Row]) -> None:
    """Print rows flush left, with whether what is asked for was reached."""
    said = {True: "  met", False: "  MISSED", None: ""}
    lines = [(row.work, row.reference, row.ours, row.ratio, row.asked + said[row.met]) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
