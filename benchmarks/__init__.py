"""Benchmarks: every number in the README has its command here. Results are JSON in results/."""
