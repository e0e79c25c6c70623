"""One reader for each format of frames."""
