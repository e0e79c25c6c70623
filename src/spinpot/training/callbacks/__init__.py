"""What happens around the steps: timing, lines for those without a progress bar, a stop on a signal."""
