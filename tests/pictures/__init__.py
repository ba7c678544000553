"""README's picture and its table, made from a run directory: `python -m tests.pictures out/`."""
