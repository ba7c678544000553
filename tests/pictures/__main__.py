"""Make README's picture and its table from the run that README's first command makes."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests import pictures
from tests.pictures.draw import draw
from tests.pictures.excerpt import put

HERE = Path(__file__).resolve().parent
README = HERE.parents[1] / "README.md"


def main() -> None:
    """Write both."""
    parser = argparse.ArgumentParser(prog="python -m tests.pictures", description=pictures.__doc__)
    parser.add_argument("run", type=Path, help="directory that `contagion run oct2025 -o` has written")
    run = parser.parse_args().run
    draw(run, HERE / "oct2025.svg")
    README.write_text(
        put(README.read_text(encoding="utf-8"), (run / "table.txt").read_text(encoding="utf-8")), encoding="utf-8", newline="\n"
    )


if __name__ == "__main__":
    main()
