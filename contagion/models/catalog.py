"""The catalogue of models: found, not listed; read their inputs, run them, lay out what they say.

Every module of :mod:`contagion.models.cards` with a constant ``CARD`` is a model of the command ``contagion model``.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contagion.models.card import MEANINGS, Card, CatalogError, Found, Inputs, Option, Vector
from graphs.matrices import bipartite, square

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from graphs.matrices import Labelled


@dataclass(frozen=True)
class ModelResult:
    """What a model said of some inputs.

    Attributes
    ----------
    card
        The model.
    found
        Figures and table.
    options
        Options as they were used.
    inputs
        Files or network that were read.
    notes
        What the reader may have overlooked.
    """

    card: Card
    found: Found
    options: Mapping[str, Any]
    inputs: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Return name, source, options and figures as plain values, fit for JSON: what is not finite is None."""
        return {
            "model": self.card.name,
            "title": self.card.title,
            "source": self.card.source,
            "inputs": list(self.inputs),
            "options": {name: plain(value) for name, value in self.options.items()},
            **{name: plain(value) for name, value in self.found.figures.items()},
        }

    def rows(self) -> list[dict[str, Any]]:
        """Return the table as plain values, one dict a row."""
        frame = self.found.frame
        columns = [[plain(value) for value in frame[name]] for name in frame.columns]
        return [dict(zip(map(str, frame.columns), cells, strict=True)) for cells in zip(*columns, strict=True)]

    @property
    def frame(self) -> pd.DataFrame:
        """The table as a pandas frame."""
        return self.found.frame


@cache
def cards() -> dict[str, Card]:
    """Return all models by name, in alphabetical order."""
    from importlib import import_module
    from pkgutil import iter_modules

    from contagion.models import cards as package

    modules = (import_module(f"{package.__name__}.{module.name}") for module in iter_modules(package.__path__))
    found = [card for module in modules for card in (module.CARD if isinstance(module.CARD, tuple) else (module.CARD,))]
    return {card.name: card for card in sorted(found, key=lambda card: card.name)}


def list_models() -> list[dict[str, Any]]:
    """One row a model: name, title, equation, source, files, matrix, vectors, options, and whether a network directory will do.

    Examples
    --------
    >>> [row["name"] for row in list_models() if "Greenwood" in row["source"]]
    ['vulnerable_banks']
    """
    return [
        {
            "name": card.name,
            "title": card.title,
            "equation": card.equation,
            "source": card.source,
            "files": " ".join(card.files),
            "matrix": MEANINGS[card.shape],
            "vectors": {vector.name: f"{vector.doc} ({_place(card, vector)})" for vector in card.vectors},
            "options": {option.name: f"{option.doc} ({_values(option)})" for option in card.options},
            "network": card.from_network is not None,
        }
        for card in cards().values()
    ]


def find_model(name: str) -> Card:
    """Return a model by name.

    Raises
    ------
    CatalogError
        If there is none of that name.
    """
    known = cards()
    if name not in known:
        near = get_close_matches(name.lower(), known, 3, 0.4)
        raise CatalogError(f"no model is called {name}; {f'did you mean {near[0]}' if near else 'choose one of ' + ', '.join(known)}?")
    return known[name]


def run_model(name: str, inputs: Sequence[str], options: Mapping[str, object] | None = None) -> ModelResult:
    r"""Read inputs and run a model on them.

    Parameters
    ----------
    name
        Name of the model.
    inputs
        Files in the order of ``card.files``; or one network, as a directory or by the name of a shipped one.
    options
        Value by name, as typed: parameters of the model, and its vectors.

    Returns
    -------
    ModelResult
        ``summary()`` and ``rows()`` are what the command prints.

    Raises
    ------
    CatalogError
        If the model, an option or the number of files is wrong, or a vector is missing.
    ReadError
        If a file cannot be read.
    ContagionError, GraphError
        As the model itself says.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     file = Path(place) / "holdings.csv"
    ...     _ = file.write_text("owner,asset,value\nA,bond,100\nB,bond,50\nB,loan,50\n")
    ...     done = run_model("vulnerable_banks", [str(file)], {"capital": "10", "depth": "1000", "shock": "loan=0.02"})
    >>> done.summary()["aggregate_vulnerability"], len(done.rows())
    (0.045, 2)
    """
    card = find_model(name)
    typed = dict(options or {})
    known = {option.name: option for option in card.options}
    vectors = {vector.name: vector for vector in card.vectors}
    odd = [key for key in typed if key not in known and key not in vectors]
    if odd:
        raise CatalogError(f"{name} has no option {', '.join(odd)}; it takes {', '.join([*known, *vectors]) or 'none'}")
    chosen = {key: option.read(typed[key]) if key in typed else option.default for key, option in known.items()}
    matrix, tables, read = _read(card, [str(item) for item in inputs])
    _require_known(card, tables, typed)
    if matrix is None:
        labels: tuple[Any, ...] = tuple(str(name) for name in tables["rows"].index) if "rows" in tables else ()
        sides: dict[str, tuple[Any, ...]] = {"rows": labels}
    else:
        labels, sides = matrix.rows, {"rows": matrix.rows, "columns": matrix.columns}
    values, given = {}, set()
    for vector in card.vectors:
        values[vector.name], is_given = _vector(card, vector, sides[vector.over], tables.get(vector.over), typed.get(vector.name))
        given |= {vector.name} if is_given else set()
    found = card.run(Inputs(matrix, labels, values, frozenset(given), chosen))
    shown = {**chosen, **{key: str(typed[key]) for key in vectors if key in typed}}
    return ModelResult(card, found, shown, tuple(read), _notes(card, values))


def plain(value: object) -> Any:  # noqa: ANN401 - whatever JSON has a word for
    """Return a value as JSON knows it."""
    if isinstance(value, np.ndarray):
        return [plain(one) for one in value.tolist()]
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def _read(card: Card, inputs: list[str]) -> tuple[Labelled | None, dict[str, pd.DataFrame], list[str]]:
    """Read a network, or the files in their order."""
    from contagion.models.files import read_matrix, read_table
    from contagion.models.tabular import SUFFIXES

    if len(inputs) == 1 and card.shape != "none" and not Path(inputs[0]).is_file() and Path(inputs[0]).suffix.lower() not in SUFFIXES:
        return _from_network(card, inputs[0])
    names = card.files
    if len(inputs) > len(names) or not inputs:
        network = ", or a network" if card.from_network is not None else ""
        count = f"{len(inputs)} inputs are given" if inputs else "no input is given"
        raise CatalogError(f"{card.name} takes {' '.join(names)}{network}, and {count}; name the files in that order")
    roles = ["matrix"] if card.shape != "none" else []
    roles += [over for over in ("rows", "columns") if any(vector.over == over for vector in card.vectors)]
    files = dict(zip(roles, inputs, strict=False))
    wanted = {over: [vector.name for vector in card.vectors if vector.over == over] for over in files}
    tables = {over: read_table(path, wanted[over]) for over, path in files.items() if over != "matrix"}
    if "matrix" not in files:
        return None, tables, inputs
    nodes, columns = (([str(name) for name in tables[over].index] if over in tables else []) for over in ("rows", "columns"))
    found = read_matrix(files["matrix"], card.shape, nodes, columns)
    # Models take the rows' names for those of the columns too.
    checked = bipartite(found, what=files["matrix"]) if card.shape == "holdings" else square(found, what=files["matrix"])
    return checked, tables, inputs


def _from_network(card: Card, name: str) -> tuple[Labelled, dict[str, pd.DataFrame], list[str]]:
    import pandas as pd

    from graphs.catalog import load_network
    from graphs.checks import require_valid

    if card.from_network is None:
        raise CatalogError(f"{name}: is no file, and {card.name} cannot be read from a network; give {' '.join(card.files)}")
    net = load_network(name)
    require_valid(net)
    found = card.from_network(net)
    tables = {}
    for over, labels in (("rows", found.matrix.rows), ("columns", found.matrix.columns)):
        mine = {vector.name: found.vectors[vector.name] for vector in card.vectors if vector.over == over and vector.name in found.vectors}
        tables[over] = pd.DataFrame(mine, index=list(labels))
    return found.matrix, tables, [name]


def _require_known(card: Card, tables: Mapping[str, pd.DataFrame], typed: Mapping[str, object]) -> None:
    """Refuse a column that all but bears the name of a vector that nothing else gives, lest it be passed over."""
    for over, table in tables.items():
        mine = [vector.name for vector in card.vectors if vector.over == over]
        columns = [str(column) for column in table.columns]
        wanting = [name for name in mine if name not in columns and name not in typed]
        for column in columns:
            near = get_close_matches(column, wanting, 1, 0.85) if column not in mine else []
            if near:
                raise CatalogError(
                    f"{card.name} reads no column {column}; did you mean {near[0]}? Rename it, or give {near[0]} as an option"
                )


def _notes(card: Card, values: Mapping[str, Any]) -> tuple[str, ...]:
    """Say that nothing is shocked, where a model is about a shock."""
    starts = [vector.name for vector in card.vectors if vector.starts]
    if not starts or any(isinstance(values[name], str) or np.any(values[name]) for name in starts):
        return ()
    return (
        f"{' and '.join(starts)} {'is' if len(starts) == 1 else 'are'} zero, so nothing happens; give --option {starts[0]}=NAME=NUMBER",
    )


def _place(card: Card, vector: Vector) -> str:
    """Where a vector is read, and whether it must be."""
    words = "".join(f", or {word}" for word in vector.words)
    if vector.default is None:
        return f"{card.table(vector.over)}{words}; needed"
    return f"{card.table(vector.over)}{words}" + ("" if vector.whole else f"; {vector.default:.6g} unless given")


def _values(option: Option) -> str:
    """Value of an option unless given, and what else it takes."""
    if isinstance(option.default, bool):
        return "yes, or no" if option.default else "no, or yes"
    others = [word for word in option.choices if word != option.default]
    return ", or ".join([str(plain(option.default)), *others])


def _vector(card: Card, vector: Vector, labels: Sequence[Any], table: pd.DataFrame | None, typed: object) -> tuple[Any, bool]:
    """Return a vector, or a word, and whether anything gave it."""
    text = None if typed is None else str(typed).strip()
    if text in vector.words and text is not None:
        return text, True
    column = None if table is None or vector.name not in table.columns else table[vector.name]
    base = np.full(len(labels), np.nan)
    if column is not None:
        known = column.to_dict()
        base = np.array([known.get(label, np.nan) for label in labels], dtype=np.float64)
    if text is not None:
        base = _typed(card, vector, labels, base, text)
    missing = np.isnan(base)
    if missing.any() and (vector.default is None or (vector.whole and not missing.all())):
        names = ", ".join(str(label) for label, gone in zip(labels, missing, strict=True) if gone)
        names = "everybody" if missing.all() else names[:200]
        raise CatalogError(
            f"{card.name}: {vector.name} ({vector.doc}) of {names} is missing; give {card.table(vector.over)}, a table with that column, "
            f"or the option {vector.name}=NUMBER"
        )
    return np.where(missing, 0.0 if vector.default is None else vector.default, base).astype(np.float64), bool(
        not missing.all()
    ) if missing.size else False


def _typed(card: Card, vector: Vector, labels: Sequence[Any], base: np.ndarray[Any, np.dtype[np.float64]], text: str) -> Any:  # noqa: ANN401 - floats
    """Lay what was typed over what the table says: one number for all, or some by name."""
    place = {str(label): i for i, label in enumerate(labels)}
    result = base.copy()
    try:
        if "=" not in text:
            result[:] = float(text)
            return result
        for part in text.split(","):
            label, _, number = part.rpartition("=")
            result[place[label.strip()]] = float(number)
    except ValueError as error:
        words = f", or {', '.join(vector.words)}" if vector.words else ""
        raise CatalogError(
            f"{card.name}: {vector.name}={text} holds no number; write {vector.name}=0.1, {vector.name}=A=0.1,B=1{words}"
        ) from error
    except KeyError as error:
        near = get_close_matches(str(error.args[0]), place, 3, 0.5)
        hint = f"did you mean {', '.join(near)}?" if near else f"they are {', '.join([*place][:8])}"
        raise CatalogError(
            f"{card.name}: {vector.name}={text} names {error.args[0]}, which is not among its {vector.over}; {hint}"
        ) from error
    return result
