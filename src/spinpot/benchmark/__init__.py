"""Benchmarks of training, evaluation and large data sets."""
