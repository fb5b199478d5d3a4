"""What computes the inside of a spiking layer: plain torch, Numba on the CPU, Triton on CUDA.

In: currents of all steps. Out: spikes, and the gradients of what made them.
"""
