"""spinpot: training of spin interatomic potentials, E(R, S)."""
