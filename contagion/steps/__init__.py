"""The steps of a round, one file each, in the order in which ``contagion.engine`` takes them."""
