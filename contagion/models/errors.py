"""What the classical models refuse."""

from __future__ import annotations

from contagion.errors import ContagionError


class ModelError(ContagionError):
    """An input of a classical model has no meaning in it, or no solution could be certified."""
