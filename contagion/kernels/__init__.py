"""Kernels: arrays in, arrays out. Each is a plain loop, compiled by numba for large inputs, with an array twin for small ones."""
