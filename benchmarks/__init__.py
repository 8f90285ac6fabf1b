"""Benchmarks: how fast and how accurate the service is, each figure beside its floor.

`python -m benchmarks` runs them (`make bench`); a file named `measure_*` is one benchmark, the others are
what they share. Nothing here is part of the installed distribution.
"""
