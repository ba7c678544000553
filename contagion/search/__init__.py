"""Search: which shocks, alone and together, make a network's run system-wide, how large they are, and how sure that is."""
