"""Frames for training: `python scripts/prepare_data.py INPUT … OUTPUT [--split 0.8 0.1 0.1]`."""

import argparse
from pathlib import Path

from spinpot.config.app import run_app

FORMATS = ("npy", "old", "extxyz", "abacus", "lammps")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("inputs", nargs="+", type=Path, metavar="INPUT", help="folders or files of frames")
    add("output", type=Path, metavar="OUTPUT", help="a folder, new")
    add("--format", default="auto", choices=("auto", *FORMATS), help="of the inputs")
    add("--to", default="npy", choices=("npy", "old", "extxyz", "lammps"), help="format of the output (npy)")
    add("--split", nargs="+", type=float, metavar="SHARE", help="of train, validation and test: 0.8 0.1 0.1")
    add("--block", type=int, default=1, metavar="N", help="consecutive frames that stay in one set (1)")
    add("--seed", type=int, default=0, help="of the split (0)")
    add("--elements", nargs="+", default=(), metavar="NAME", help="type map; needed for types without names")
    add("--magnetic", nargs="+", default=(), metavar="NAME", help="elements with virtual atoms (old layout)")
    add("--virtual-len", type=float, help="Å (old layout)")
    add("--spin-norm", type=float, help="μ_B (old layout)")
    given = parser.parse_args()
    if (given.virtual_len is None) != (given.spin_norm is None):
        parser.error("--virtual-len and --spin-norm belong together")
    # Imported here, so that --help answers at once.
    from spinpot.data.prepare import Source, prepare

    scale = given.virtual_len / given.spin_norm if given.spin_norm else None
    source = Source(tuple(given.elements), tuple(given.magnetic), scale)
    prepare(given.inputs, given.output, source, given.format, given.to, given.split, given.block, given.seed)


if __name__ == "__main__":
    run_app(main)
