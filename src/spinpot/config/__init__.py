"""The config around a run: unknown keys, and errors in words."""
