"""What labels a configuration: codes of constrained DFT, a user's command, built-in Hamiltonians."""
