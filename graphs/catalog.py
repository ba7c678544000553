"""The networks that ship with this package, by name, and any other by its directory.

A shipped name comes before a directory of the same name, which ``./name`` reaches. What a network costs to build is paid when it
is loaded: listing imports the builders and runs none.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypedDict

from graphs.columns import did_you_mean
from graphs.errors import GraphError, UnknownNetworkError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from graphs.network import Network


class NetworkEntry(TypedDict):
    """A shipped network as a row of a table.

    Attributes
    ----------
    name, description
        What it is called, and shows.
    options
        Names of the keywords that :func:`load_network` takes for it, separated by commas.
    """

    name: str
    description: str
    options: str


class _Shipped(NamedTuple):
    """Where the function is that builds a network, and what the network is."""

    module: str
    function: str
    description: str


_NETWORKS: Final = {
    "oct2025": _Shipped(
        "graphs.oct2025", "build_oct2025", "the crypto market before the crash of 10 October 2025, from published aggregates"
    ),
    "one_book_ladder": _Shipped("graphs.toys", "one_book_ladder", "longs on one book, each liquidation pushing the price towards the next"),
    "two_exchange_stablecoin": _Shipped(
        "graphs.toys", "two_exchange_stablecoin", "a stablecoin as margin on two exchanges, one of which prices it off its own thin book"
    ),
    "delta_neutral_issuer": _Shipped("graphs.toys", "delta_neutral_issuer", "an issuer whose hedge can be deleveraged away"),
    "interbank_ring": _Shipped("graphs.toys", "interbank_ring", "banks that owe each other in a ring, and no market"),
}


def list_networks() -> list[NetworkEntry]:
    """List the networks that ship with this package.

    Returns
    -------
    list
        One entry a network, the large one first.

    Examples
    --------
    >>> [entry["name"] for entry in list_networks()]
    ['oct2025', 'one_book_ladder', 'two_exchange_stablecoin', 'delta_neutral_issuer', 'interbank_ring']
    >>> list_networks()[-1]["options"]
    'n, amount, cash, external_debt'
    """
    return [
        {"name": name, "description": shipped.description, "options": ", ".join(_options(_builder(shipped)))}
        for name, shipped in _NETWORKS.items()
    ]


def load_network(name_or_path: str | os.PathLike[str], **options: Any) -> Network:  # noqa: ANN401 the builder's own types
    """Build a shipped network, or read one from its directory.

    Parameters
    ----------
    name_or_path
        A name that :func:`list_networks` gives, or a directory that holds ``network.toml``. A path object is always a directory.
    **options
        Of the shipped network; a directory takes none.

    Returns
    -------
    Network
        As its builder or its files give it; whether a directory's makes sense is for :func:`graphs.checks.check_network` to say.

    Raises
    ------
    UnknownNetworkError
        If no shipped network and no directory bears that name.
    GraphError
        If the network has no such option, its builder refuses a value, or the directory cannot be read.

    Examples
    --------
    >>> load_network("interbank_ring", n=3)
    Network('interbank_ring', trader=3, credit=3)
    """
    if isinstance(name_or_path, str) and name_or_path in _NETWORKS:
        build = _builder(_NETWORKS[name_or_path])
        known = _options(build)
        remedy = f"use {', '.join(known)}"
        wrong = [f"no option {option!r}, {did_you_mean(option, known, remedy)}" for option in options if option not in known]
        if wrong:
            raise GraphError(f"network {name_or_path!r} has {'; '.join(wrong)}")
        return build(**options)
    if not (str(name_or_path) and Path(name_or_path).exists()):
        remedy = did_you_mean(str(name_or_path), _NETWORKS, f"use one of {', '.join(_NETWORKS)}, or a directory that holds network.toml")
        raise UnknownNetworkError(f"{str(name_or_path)!r} is no shipped network and no directory; {remedy}")
    if options:
        raise GraphError(f"{str(name_or_path)!r} is a directory and has no option {', '.join(map(repr, options))}; leave it out")
    from graphs.tables import read_network

    return read_network(name_or_path)


def default_options(name: str) -> dict[str, Any]:
    """Keywords that :func:`load_network` takes for a shipped network, with their defaults; none for any other name.

    Examples
    --------
    >>> default_options("oct2025")["seed"]
    20251010
    """
    if name not in _NETWORKS:
        return {}
    return {option: parameter.default for option, parameter in inspect.signature(_builder(_NETWORKS[name])).parameters.items()}


def _builder(shipped: _Shipped) -> Callable[..., Network]:
    build: Callable[..., Network] = getattr(import_module(shipped.module), shipped.function)
    return build


def _options(build: Callable[..., Network]) -> list[str]:
    return list(inspect.signature(build).parameters)
