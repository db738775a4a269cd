"""Measured comparisons: `python -m bench.NAME` prints ratios of one run and writes `bench/results/NAME.json`."""
