"""Loops over currents in, compiled by Numba and kept on disk; spikes, gradients and sums out."""
