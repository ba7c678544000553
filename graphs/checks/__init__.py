"""Whether a network makes sense: named checks that list every offending row and say what to do about it.

Nothing is repaired. What may be added on request, traders that take the missing side of open interest, is
:func:`add_residuals`, which reports it.
"""

from graphs.checks.residual import add_residuals
from graphs.checks.runner import check_network, require_valid
from graphs.checks.view import CHECKS, Check

__all__ = ["CHECKS", "Check", "add_residuals", "check_network", "require_valid"]
