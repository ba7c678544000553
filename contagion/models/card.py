"""What a card says of a model: its equation and source, what it reads, and how it is run from the command line.

A card is a module of :mod:`contagion.models.cards` with a constant ``CARD``; the catalogue finds it there. A model reads at most one
matrix, and vectors over its rows or its columns. A vector may stand in a table as a column of its name, or be given as an option:
``equity=5`` for all, ``shock=A=0.2,B=1`` for some, the others keeping what the table or the default says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from contagion.errors import ContagionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from contagion.arrays import Floats, Ints
    from graphs.matrices import Labelled
    from graphs.network import Network

Shape = Literal["liabilities", "exposures", "adjacency", "holdings", "none"]
"""Kind of the matrix: what debtor i owes j; what i loses if j defaults; edges i → j; what holder i has of k; nothing but nodes."""

MEANINGS: dict[Shape, str] = {
    "liabilities": "the row owes the column; a list of edges has columns debtor, creditor, amount",
    "exposures": "the row loses this if the column defaults; a list of edges has columns debtor, creditor, amount, "
    "or source, target, weight",
    "adjacency": "an edge from the row to the column; a list of edges has columns source, target, weight, or debtor, creditor, amount, "
    "read as an edge from the creditor to the debtor",
    "holdings": "the row has this of the column; a list of edges has columns owner, asset, value",
    "none": "",
}
"""What an entry of the matrix is, and how a list of edges says it."""


class CatalogError(ContagionError):
    """A model is asked for by a wrong name, or with files or options that it does not take."""


@dataclass(frozen=True, slots=True)
class Vector:
    """One number a row (``over="rows"``) or a column of the matrix.

    Attributes
    ----------
    name, doc
        Column of the table, option of the command, and what it is.
    over
        Whose it is.
    default
        Where it is not given; None if it must be.
    words
        Words that the option takes instead of numbers.
    whole
        Whether it is given for all or for none: its default only stands for what the model itself then takes.
    starts
        Whether it is a shock, so that nothing happens as long as it and its like are zero.
    """

    name: str
    doc: str
    over: Literal["rows", "columns"] = "rows"
    default: float | None = None
    words: tuple[str, ...] = ()
    whole: bool = False
    starts: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """A parameter of the model; its kind is that of its default.

    Attributes
    ----------
    name, default, doc
        Name, value unless given, meaning.
    choices
        Words that it takes, empty for numbers.
    """

    name: str
    default: float | int | str | bool | None
    doc: str
    choices: tuple[str, ...] = ()

    def read(self, text: object) -> Any:  # noqa: ANN401 - of the kind of the default
        """Value of an option as it was typed.

        Raises
        ------
        CatalogError
            If it is no such number, or none of the choices.
        """
        word = str(text).strip()
        if self.choices:
            if word in self.choices:
                return word
            raise CatalogError(f"option {self.name}: {word!r} is none of {', '.join(self.choices)}; choose one")
        if isinstance(self.default, bool):
            if word.lower() in {"true", "yes", "on", "1", "false", "no", "off", "0"}:
                return word.lower() in {"true", "yes", "on", "1"}
            raise CatalogError(f"option {self.name}: {word!r} is neither yes nor no; write one of them")
        try:
            return int(word) if isinstance(self.default, int) else float(word)
        except ValueError as error:
            kind = "whole number" if isinstance(self.default, int) else "number"
            raise CatalogError(f"option {self.name}: {word!r} is no {kind}; write one") from error


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a card's ``run`` is given.

    Attributes
    ----------
    matrix
        The matrix, None for a model that reads nodes only.
    labels
        Names of its rows, or of the nodes.
    vectors
        Array by name in the order of the labels, or the word that was given instead.
    given
        Names of the vectors that a table, an option or a network gave, the others being defaults.
    options
        Value by name.
    """

    matrix: Labelled | None
    labels: tuple[Any, ...]
    vectors: Mapping[str, Any]
    given: frozenset[str]
    options: Mapping[str, Any]

    @property
    def table(self) -> Labelled:
        """The matrix of a model that reads one."""
        if self.matrix is None:
            raise CatalogError("this model reads no matrix; leave it out")
        return self.matrix

    def numbers(self, name: str) -> Floats:
        """Return a vector that takes no words."""
        return np.asarray(self.vectors[name], dtype=np.float64)

    def optional(self, name: str) -> Floats | None:
        """Return a vector, or None where nothing was given."""
        return self.numbers(name) if name in self.given else None


@dataclass(frozen=True, slots=True)
class Found:
    """What a model says: figures of the whole, and a table.

    Attributes
    ----------
    figures
        Value by name.
    frame
        One row a node, edge or asset.
    """

    figures: Mapping[str, Any]
    frame: pd.DataFrame


def never(rounds: Ints) -> NDArray[np.object_]:
    """Rounds with None for −1, which is never."""
    said = rounds.astype(np.object_)
    said[rounds < 0] = None
    return said


@dataclass(frozen=True, slots=True)
class NetworkInputs:
    """What a network directory gives to a model.

    Attributes
    ----------
    matrix
        As if it had been read from a file.
    vectors
        Array by name, in the order of the matrix.
    """

    matrix: Labelled
    vectors: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Card:
    """A model as the command line shows it.

    Attributes
    ----------
    name, title
        Name of the command's argument, and of the model.
    equation
        What it solves, in words.
    source
        Who published it.
    shape
        Kind of the matrix that it reads.
    vectors, options
        What else.
    run
        Computes it.
    from_network
        Takes the inputs out of a network directory; None where that has no meaning.
    """

    name: str
    title: str
    equation: str
    source: str
    shape: Shape
    run: Callable[[Inputs], Found]
    vectors: tuple[Vector, ...] = ()
    options: tuple[Option, ...] = ()
    from_network: Callable[[Network], NetworkInputs] | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that the command takes, in order; those in brackets can be left out."""
        names = [] if self.shape == "none" else [self.shape.upper()]
        for over in ("rows", "columns"):
            name = self.table(over)
            mine = [vector for vector in self.vectors if vector.over == over]
            if mine:
                needed = any(vector.default is None for vector in mine)
                names.append(name if needed else f"[{name}]")
        return tuple(names)

    def table(self, over: Literal["rows", "columns"]) -> str:
        """Name of the file with the vectors of the rows or the columns."""
        if over == "columns":
            return "ASSETS"
        return "HOLDERS" if self.shape == "holdings" else "NODES"
