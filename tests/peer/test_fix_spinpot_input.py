"""Errors of `fix spinpot` for wrong input."""

import pytest

from support.lammps_dynamics import setting

REFUSED = {
    "unknown keyword": (
        "fix 1 all spinpot dampening 0.1",
        "unknown keyword dampening. Expected lattice, damping",
    ),
    "no value": ("fix 1 all spinpot damping", "a value is missing after damping"),
    "no lattice": ("fix 1 all spinpot lattice free", "Expected lattice moving or frozen"),
    "negative": ("fix 1 all spinpot damping -0.1", "damping -0.1. Expected a number that is not negative"),
    "tolerance": ("fix 1 all spinpot tolerance 0", "the tolerance is below 1e-14"),
    "field": ("fix 1 all spinpot field 0 1", "field needs three numbers"),
    "seed": ("fix 1 all spinpot seed -1", "seed -1. Expected an integer that is not negative"),
    "no seed": ("fix 1 all spinpot temperature 300 damping 0.1", "a temperature needs a seed"),
    "no bath": ("fix 1 all spinpot temperature 300 seed 1", "nothing is coupled to the heat bath"),
    "friction": (
        "fix 1 all spinpot lattice frozen friction 1",
        "friction acts only on atoms that this fix moves",
    ),
    "nve/spin": (
        "fix 1 all spinpot\nfix 2 all nve/spin lattice no\nrun 0",
        "fix 2 (nve/spin) also moves the spins",
    ),
    "langevin/spin": (
        "fix 1 all spinpot\nfix 2 all precession/spin zeeman 1 0 0 1\nfix 3 all langevin/spin 1 0.1 4\nrun 0",
        "fix 3 (langevin/spin) also moves the spins",
    ),
    "nve": ("fix 1 all spinpot\nfix 2 all nve\nrun 0", "fix 2 (nve) also moves the same atoms"),
    "langevin": (
        "fix 1 all spinpot\nfix 2 all langevin 1 1 1 4\nrun 0",
        "Use friction and temperature of fix spinpot",
    ),
    "two": ("group a id 1\nfix 1 a spinpot\nfix 2 all spinpot\nrun 0", "there are two of it"),
    "order": ("fix 1 all nve\nfix 2 all spinpot lattice frozen\nrun 0", "fix 1 (nve) must be defined after"),
    "averages": (
        "fix 1 all ave/time 1 1 1 c_thermo_pe\nfix 2 all spinpot\nrun 0",
        "fix 1 (ave/time) must be defined after",
    ),
    "respa": ("run_style respa 2 2\nfix 1 all spinpot\nrun 0", "run_style respa. Expected run_style verlet"),
    "too long": ("timestep 0.3\nfix 1 all spinpot\nrun 10", "did not converge in 30 iterations"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused(case, lammps):
    words, expected = REFUSED[case]
    said = lammps(setting() + words + "\n", fails=True)
    assert "fix spinpot:" in said
    assert expected in said


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("units metal", "units lj"), "units lj. Expected units metal"),
        (("units metal", "units metal\nnewton off"), "newton is off. Spins need newton on"),
        (("atom_style spin", "atom_style atomic"), "the atoms have no spins. Use atom_style spin"),
        (
            ("units metal", "package omp 1\nunits metal"),
            "it does not run together with the accelerator of package_omp",
        ),
    ],
    ids=["units", "newton", "spins", "omp"],
)
def test_settings_of_lammps_that_do_not_fit_are_refused(change, expected, lammps):
    text = "units metal\natom_style spin\nregion box block 0 9 0 9 0 9\ncreate_box 1 box\npair_style none\n"
    more = "comm_modify cutoff 3\nmass 1 1\nfix 1 all spinpot\nrun 0\n"
    assert f"fix spinpot: {expected}" in lammps(text.replace(*change) + more, fails=True)
