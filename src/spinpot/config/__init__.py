"""Checks the config of a run and explains errors in it."""
