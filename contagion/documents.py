"""Documents that people write by hand: a TOML file against a pydantic model, in both directions.

Reading reports every error of the file in one message, each with its path (``stages[1].shocks[0]``). Writing covers the
values that these documents hold, text, numbers, switches, lists of them and tables, and reads back equal.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from graphs.columns import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from contagion.errors import ContagionError

Model = TypeVar("Model", bound=BaseModel)

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def read_toml(path: Path, error: type[ContagionError]) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    ContagionError
        Of the class ``error``, if the file is not there or is no TOML.
    """
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as reason:
        msg = f"{path}: cannot be read ({reason.strerror or reason}); give the path of a TOML file"
        raise error(msg) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as reason:
        msg = f"{path}: is not TOML ({reason}); mend that line"
        raise error(msg) from None


def validate(model: type[Model], data: Mapping[str, Any], source: str, error: type[ContagionError]) -> Model:
    """Validate ``data``, turning everything that is wrong with it into one error."""
    try:
        return model.model_validate(dict(data))
    except ValidationError as reason:
        raise error(describe(reason, source, model)) from None


def describe(reason: ValidationError, source: str, model: type[BaseModel]) -> str:
    """Every problem of a document in one message: one line each if there are several."""
    lines = [line for item in reason.errors(include_url=False) for line in _problem(item, model).split("\n")]
    if len(lines) == 1:
        return f"{source}: {lines[0]}"
    return f"{source}: {len(lines)} errors\n" + "\n".join(f"  {line}" for line in lines)


def _problem(item: Any, model: type[BaseModel]) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, read as a mapping
    location: Sequence[int | str] = item["loc"]
    place = _path(location)
    kind, text = item["type"], str(item["msg"])
    if kind == "extra_forbidden":
        known = sorted(_fields_at(model, location[:-1]))
        return f"{place}: is not known here; {remedy_for(str(location[-1]), known)}"
    if kind == "missing":
        return f"{place}: is missing; add it"
    text = text.removeprefix("Value error, ")
    text = text[0].lower() + text[1:] if text[:5] in {"Input", "Field", "Value"} else text
    if kind == "value_error":
        return f"{place}: {text}" if place else text
    return f"{place}: {text}, but it is {item['input']!r}" if place else text


def _path(location: Iterable[int | str]) -> str:
    """``("stages", 1, "shocks", 0)`` as ``stages[1].shocks[0]``."""
    parts = ""
    for part in location:
        parts += f"[{part}]" if isinstance(part, int) else f".{part}" if parts else str(part)
    return parts


def _fields_at(model: type[BaseModel], location: Sequence[int | str]) -> set[str]:
    """Names that the (sub)model at a place of the document knows."""
    schema = model.model_json_schema()
    node: dict[str, Any] = schema
    for part in location:
        node = node.get("items", {}) if isinstance(part, int) else node.get("properties", {}).get(part, {})
        node = next((choice for choice in node.get("anyOf", ()) if choice.get("type") != "null" and choice.get("type") != "string"), node)
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return set(node.get("properties", {}))


def remedy_for(name: str, known: Sequence[str]) -> str:
    """What to write instead of an unknown name: the nearest known ones, or all where there are few.

    Examples
    --------
    >>> remedy_for("Binanse", ["Binance", "Bybit"])
    "did you mean 'Binance'?"
    >>> remedy_for("HTX", ["Binance", "Bybit"])
    'known are Binance, Bybit'
    """
    few = 12
    listed = f"known are {', '.join(known[:few])}{', …' if len(known) > few else ''}"
    return did_you_mean(name, known, listed if known else "none is known")


def to_toml(data: Mapping[str, Any]) -> str:
    """Write a document, plain values first, then tables, then lists of tables.

    Examples
    --------
    >>> print(to_toml({"name": "x", "clock": {"duration": 60.0}, "stages": [{"name": "a"}]}), end="")
    name = "x"
    <BLANKLINE>
    [clock]
    duration = 60.0
    <BLANKLINE>
    [[stages]]
    name = "a"
    """
    return "".join(f"{line}\n" for line in _lines(data, ())).lstrip("\n")


def _lines(data: Mapping[str, Any], prefix: tuple[str, ...]) -> Iterable[str]:
    tables: list[tuple[str, Mapping[str, Any], bool]] = []
    for key, value in data.items():
        if isinstance(value, dict):
            tables.append((key, value, False))
        elif isinstance(value, list | tuple) and value and all(isinstance(item, dict) for item in value):
            tables.extend((key, item, True) for item in value)
        else:
            yield f"{_key(key)} = {_value(value)}"
    for key, table, repeated in tables:
        here = (*prefix, _key(key))
        yield ""
        yield f"[[{'.'.join(here)}]]" if repeated else f"[{'.'.join(here)}]"
        yield from _lines(table, here)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _value(key)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        # JSON and TOML escape alike, but for the delete character
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    msg = f"a {type(value).__name__} has no place in a document"
    raise TypeError(msg)
