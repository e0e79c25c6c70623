"""Quick checks of frames: lines on suspicious data, before a run, an evaluation or a prediction uses them."""
