"""Name, shape, unit, meaning and sign of every tensor. Sources: ABACUS, deepmd-kit's `dp test`.

Lengths are in Å, energies in eV, spins (magnetic moment vectors) in μ_B. F counts frames, N the atoms of
one frame, A the atoms of a batch, P the neighbour pairs of a batch, T the element types.

| name          | shape                     | unit   | meaning                                              |
|---------------|---------------------------|--------|------------------------------------------------------|
| `box`         | (F, 3, 3)                 | Å      | row k is lattice vector k                            |
| `coord`       | (F, N, 3)                 | Å      | positions R                                          |
| `spin`        | (F, N, 3)                 | μ_B    | magnetic moments S; zero on atoms that carry none    |
| `energy`      | (F,)                      | eV     | E(R, S)                                              |
| `force`       | (F, N, 3)                 | eV/Å   | −∂E/∂R at fixed spins                                |
| `force_mag`   | (F, N, 3)                 | eV/μ_B | −∂E/∂S at fixed positions                            |
| `virial`      | (F, 3, 3)                 | eV     | −∂E/∂ε at fixed spins; row: force, column: coordinate|
| `atom_energy` | (F, N)                    | eV     | each atom's share of E                               |

A model's estimates of its own errors (Potential.uncertainty):

| name              | shape  | unit    | meaning                                                             |
|-------------------|--------|---------|---------------------------------------------------------------------|
| `energy_sigma`    | (F,)   | eV/atom | expected error of the energy per atom, a standard deviation         |
| `force_sigma`     | (F, N) | eV/Å    | the same for each component of an atom's force                      |
| `force_mag_sigma` | (F, N) | eV/μ_B  | the same for each component of its magnetic force                   |
| `leverage`        | (F, N) | 1       | distance of the atom from the training data, about 1 within them    |

A system's `pbc` marks the rows of `box` along which it is periodic. The other rows have no meaning, and atoms
are not wrapped along them. The virial is the strain derivative in all directions.

A batch concatenates its frames, so that (F, N, …) becomes (A, …).

ASE's stress is −virial/volume: in its sign convention a compressed crystal has negative stress. LAMMPS' `fm`
is `force_mag`·|S|/ħ with ħ = 6.5821191e-4 eV·ps.
"""

LABELS = ("energy", "force", "force_mag", "virial")
"""The labels a data set may have; each is optional."""

PER_FRAME: dict[str, tuple[int, ...]] = {"energy": (), "virial": (3, 3)}
PER_ATOM: dict[str, tuple[int, ...]] = {"force": (3,), "force_mag": (3,), "atom_energy": ()}
"""Predicted arrays, and their shapes per frame or atom."""
SHAPES = PER_FRAME | PER_ATOM
SIGMA = "_sigma"
"""Suffix of the names of expected errors."""
EXPECTED_PER_FRAME: dict[str, tuple[int, ...]] = {"energy_sigma": ()}
EXPECTED_PER_ATOM: dict[str, tuple[int, ...]] = {"force_sigma": (), "force_mag_sigma": (), "leverage": ()}
EXPECTED = EXPECTED_PER_FRAME | EXPECTED_PER_ATOM
"""Arrays of a model's expected errors, and their shapes per frame or atom."""
