"""Checks of what belongs together in a row: rules of an exchange, of an account, of a leverage limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphs.checks.view import View, check
from graphs.schema import USD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphs.errors import Finding


@check()
def negative_collateral(view: View) -> Iterator[Finding]:
    """A negative deposit of anything but USD."""
    bad = (view.net.numbers("collateral", "quantity") < 0) & ~view.is_word("collateral", "asset", USD)
    remedy = "only USD can be owed: write a debt in a coin as a negative margin quantity on its spot market"
    yield from view.report("negative_collateral", "collateral", "quantity", bad, remedy)


@check()
def isolated_margin_of_cross(view: View) -> Iterator[Finding]:
    """Margin of its own on a position that shares the account's."""
    bad = (view.net.numbers("margin", "isolated_margin") != 0) & view.is_word("margin", "mode", "cross")
    yield from view.report("isolated_margin_of_cross", "margin", "isolated_margin", bad, "set mode to isolated, or leave it empty")


@check()
def leverage_target_above_limit(view: View) -> Iterator[Finding]:
    """A leverage to sell down to that is above the one at which selling begins."""
    target, limit = view.net.numbers("trader", "leverage_target"), view.net.numbers("trader", "leverage_limit")
    yield from view.report("leverage_target_above_limit", "trader", "leverage_target", target > limit, "make it at most leverage_limit")


@check()
def backstop_without_vault(view: View) -> Iterator[Finding]:
    """A backstop at an exchange that has no vault to take accounts over."""
    bad = ~np.isnan(view.net.numbers("exchange", "backstop")) & view.is_empty("exchange", "vault")
    yield from view.report("backstop_without_vault", "exchange", "backstop", bad, "name the vault, or leave the backstop empty")
