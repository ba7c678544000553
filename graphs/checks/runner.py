"""All registered checks, run over one network. Importing a module of checks registers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphs.checks import brackets, cells, ids, markets, rules  # noqa: F401 - each registers its checks
from graphs.checks.view import CHECKS, View
from graphs.columns import did_you_mean
from graphs.errors import CheckError, Finding, GraphError

if TYPE_CHECKING:
    from collections.abc import Collection

    from graphs.network import Network


def check_network(net: Network, *, complete: bool = True, only: Collection[str] | None = None) -> list[Finding]:
    """List everything that is wrong with a network.

    Parameters
    ----------
    net
        The network.
    complete
        Whether it must have all that a run needs: a market for every edge that trades, brackets for every perp
        market with positions, and open interest that balances.
    only
        Names of the checks to run; all of them by default.

    Returns
    -------
    list
        All bad rows of all checks, none if the network is sound.

    Raises
    ------
    GraphError
        If there is no check of a name in ``only``.

    Notes
    -----
    Accounts that are in breach before any shock are for the engine to find, which knows their margin.

    Examples
    --------
    >>> import pandas as pd
    >>> from graphs.network import Network
    >>> net = Network.from_frames(name="typo", asset=pd.DataFrame({"id": ["BTC"], "price": [-1.0]}))
    >>> print(check_network(net)[0])
    table asset, row 1, column price: -1.0; write a number above 0
    """
    view = View(net)
    names = CHECKS if only is None else only
    for name in names:
        if name not in CHECKS:
            raise GraphError(f"no check {name!r}; {did_you_mean(name, CHECKS, 'use one of ' + ', '.join(CHECKS))}")
    with np.errstate(all="ignore"):  # what overflows or is no number is a finding, not a warning
        return [found for name, check in CHECKS.items() if name in names and (complete or not check.whole) for found in check.run(view)]


def require_valid(net: Network, *, complete: bool = True, only: Collection[str] | None = None) -> None:
    """Raise if :func:`check_network` finds anything.

    Parameters
    ----------
    net, complete, only
        As for :func:`check_network`.

    Raises
    ------
    CheckError
        With all findings.
    """
    found = check_network(net, complete=complete, only=only)
    if found:
        raise CheckError(found)
