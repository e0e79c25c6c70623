"""Active learning: train, explore, choose and label frames in rounds, until few frames are uncertain."""
