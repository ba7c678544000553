"""What the shape of a network says before any shock: who reaches whom, what portfolios share, how concentrated, how central."""

from graphs.structure.centrality import betweenness, centralities
from graphs.structure.concentration import concentration
from graphs.structure.impact import (
    communicability,
    impact_diffusion,
    impact_fluidity,
    impact_matrix,
    impact_susceptibility,
)
from graphs.structure.overlap import liquidity_weighted_overlap

__all__ = [
    "betweenness",
    "centralities",
    "communicability",
    "concentration",
    "impact_diffusion",
    "impact_fluidity",
    "impact_matrix",
    "impact_susceptibility",
    "liquidity_weighted_overlap",
]
