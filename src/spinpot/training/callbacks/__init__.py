"""Callbacks of a training run: timing, validation lines, stop on a signal, CUDA graphs, wandb reports."""
