"""`spinpot analyze`: computes exchange, magnons and other magnetic properties from a potential."""
