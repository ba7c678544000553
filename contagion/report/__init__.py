"""What a run says to a person: the table of ten seconds, the comparison with the real day, the overview of a network."""
