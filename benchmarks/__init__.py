"""Benchmarks: every number in docs/speed.md has its command here. Results are JSON in results/."""
