"""The back house where networks are trained: the loop, the optimiser, and one recipe for each network."""
