"""Labellers: constrained-DFT codes, a user's command, built-in Hamiltonians."""
