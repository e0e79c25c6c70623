"""What a set of labelled frames says about itself, before anything is trained on it."""
