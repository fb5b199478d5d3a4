"""Weights on disk, of every kind that is read, and the run directory that holds them."""
