"""Kernels: arrays in, arrays out. Each is a plain loop, compiled by numba for large inputs and run as it is for small ones."""
