"""Cheap checks of frames: what looks odd, said before a run, an evaluation or a prediction uses them."""
