"""`spinpot prepare`."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from pathlib import Path

FORMATS = ("npy", "old", "extxyz", "traj", "db", "json", "abacus", "vasp", "lammps", "lammps_data")
LABELS = {"energy": "energy", "forces": "force", "magnetic_forces": "force_mag", "virial": "virial"}


def prepare(parser: ArgumentParser) -> None:
    """Convert frames to training folders: `spinpot prepare INPUT … OUTPUT [--split 0.8 0.1 0.1]`."""
    _add_options(parser)
    given = parser.parse_args()
    if (given.length is None) != (given.spin_norm is None):
        parser.error("give --virtual-len and --spin-norm together")
    if given.spin_norm is not None and not (given.spin_norm > 0 and given.length > 0):
        parser.error("--virtual-len and --spin-norm must be above 0")
    from spinpot.core.console import print_line  # here, so that --help answers at once
    from spinpot.data.prepare import prepare
    from spinpot.data.readers.reader import Wanted
    from spinpot.looks.sets import look_at_frames

    options = {"moments": "spin", **LABELS}
    wanted = Wanted(
        elements=tuple(given.elements),
        rename=dict(given.rename),
        columns={array: name for key, array in options.items() if (name := getattr(given, key))},
        moment_unit=given.moment_unit,
        non_magnetic=given.non_magnetic,
        magnetic=tuple(given.magnetic),
        virtual_scale=given.length / given.spin_norm if given.spin_norm else None,
    )
    for line in _idle(parser, given):
        print_line(line)
    how = (given.format, given.to, given.split, given.block, given.seed, given.float32)
    sets = prepare(given.inputs, given.output, wanted, *how)
    look_at_frames([system for systems in sets.values() for system in systems]).print()


def _idle(parser: ArgumentParser, given: Namespace) -> Iterator[str]:
    """Lines about options that have no effect."""
    if given.split is None:
        for name in ("block", "seed"):
            if getattr(given, name) != parser.get_default(name):
                yield f"--{name} has no effect without --split."
    if given.float32 and given.to != "npy":
        yield f"--float32 has no effect with --to {given.to}."
    if "old" not in (given.format, given.to) and (given.magnetic or given.length):
        yield "--magnetic, --virtual-len and --spin-norm have no effect without --format old or --to old."


def _add_options(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("inputs", nargs="+", type=Path, metavar="INPUT", help="folders or files with frames")
    add("output", type=Path, metavar="OUTPUT", help="a new folder")
    add("--format", default="auto", choices=("auto", *FORMATS), help="format of the inputs (default: auto)")
    to = ("npy", "old", "extxyz", "lammps")
    add("--to", default="npy", choices=to, help="format of the output (default: npy)")
    add("--float32", action="store_true", help="npy: write per-atom arrays in float32, half the size")
    shares = "shares of train, validation and test, e.g. 0.8 0.1 0.1"
    add("--split", nargs="+", type=float, metavar="SHARE", help=shares)
    block = "keep N consecutive frames together in one set (default: 1)"
    add("--block", type=int, default=1, metavar="N", help=block)
    add("--seed", type=int, default=0, help="seed of the split (default: 0)")
    elements = "type map; required if the types have no names"
    add("--elements", nargs="+", default=(), metavar="NAME", help=elements)
    rename = "rename labels of atoms to elements, e.g. Fe1=Fe"
    add("--rename", nargs="+", default=(), type=_pair, metavar="LABEL=NAME", help=rename)
    add("--moments", metavar="NAME", help="the column of the magnetic moments")
    unit = "unit of moments that all have length 1; direction: times a column of lengths, if there is one"
    add("--moment-unit", choices=("mu_B", "direction"), help=unit)
    add("--non-magnetic", action="store_true", help="write zero moments for frames without moments")
    for name in LABELS:
        what = name.replace("_", " ")
        add(f"--{name.replace('_', '-')}", metavar="NAME", help=f"the column or key of the {what}")
    magnetic = "elements with virtual atoms (old layout)"
    add("--magnetic", nargs="+", default=(), metavar="NAME", help=magnetic)
    add("--virtual-len", dest="length", type=float, help="distance of the virtual atoms, Å (old layout)")
    add("--spin-norm", type=float, help="moment that corresponds to --virtual-len, μ_B (old layout)")


def _pair(text: str) -> tuple[str, str]:
    label, mark, element = text.partition("=")
    if not (label and mark and element):
        raise ArgumentTypeError(f"{text}: expected LABEL=NAME, such as Fe1=Fe")
    return label, element
