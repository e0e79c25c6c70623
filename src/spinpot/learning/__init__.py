"""Training, exploration, choice and labels in turn, until little is left to learn."""
