"""The classical models of the literature, exact: one file a model, each on NumPy, SciPy sparse or NetworkX input."""
