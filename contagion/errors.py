"""The errors of the package: one root, so that a caller can catch them all.

A message is one plain sentence that names the file or text, the place in it, the value and the remedy.
"""

from __future__ import annotations


class ContagionError(Exception):
    """Root of every error that this package raises on purpose."""


class ScenarioError(ContagionError):
    """A shock, stage or scenario is not written as it should be, or does not fit the network."""


class PolicyError(ContagionError):
    """A policy is not written as it should be, does not fit the network, or cannot be brought into force."""


class RunError(ContagionError):
    """A run cannot be started, or what it left behind cannot be read or repeated."""
