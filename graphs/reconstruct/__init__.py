"""A network from what each node owes and is owed in all: by maximum entropy, by minimum density, or as an ensemble.

Row sums are what leaves a node, column sums what comes in: for exposures i → j the assets and the liabilities of each bank. Maximum
entropy spreads as evenly as the margins allow and so understates contagion, minimum density concentrates on as few links as it can and
overstates it (Anand, Craig and von Peter 2015); the ensemble lies between and gives intervals (Cimini et al. 2015).
"""

from graphs.reconstruct.density import minimum_density
from graphs.reconstruct.ensemble import Ensemble, fitness_ensemble
from graphs.reconstruct.entropy import maximum_entropy
from graphs.reconstruct.scaling import MarginsError, fit_margins

__all__ = ["Ensemble", "MarginsError", "fit_margins", "fitness_ensemble", "maximum_entropy", "minimum_density"]
