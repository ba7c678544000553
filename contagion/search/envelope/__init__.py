"""The safe envelope: bounds on everything that a set of shocks can do, one question of them a file."""

from contagion.search.envelope.answer import Envelope
from contagion.search.envelope.bounds import Bounds, envelope, envelope_of_any

__all__ = ["Bounds", "Envelope", "envelope", "envelope_of_any"]
