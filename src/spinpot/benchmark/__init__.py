"""How fast a training step is, and where its time goes."""
