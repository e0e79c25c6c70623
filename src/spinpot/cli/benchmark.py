"""`spinpot benchmark`."""

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from spinpot.benchmark.cases import CASES
from spinpot.benchmark.peer import BACKENDS
from spinpot.benchmark.sets import Size

INFERENCE, SCALE = "inference", "scale"
TAKES = {
    INFERENCE: ("lammps", "peer"),
    SCALE: ("sizes", "ranks", "steps", "turns", "cold", "peer", "folder", "plot"),
    "--until-error": ("until_error", "peer"),
    "--peer": ("peer", "backends", "steps"),
    "training": ("steps", "profile"),
}
"""What is measured, by a case of its own or an option, and the options that it takes besides --output."""
SIZES = [Size(1, 100), Size(1, 10_000), Size(1, 1_000_000), Size(50_000, 2)]


def benchmark(parser: ArgumentParser) -> None:
    """Measure training: `spinpot benchmark [CASE …] [--profile] [--peer PYTHON [--until-error]]`.

    Evaluations in Python and in LAMMPS: `spinpot benchmark inference [--lammps DIR | --peer PYTHON]`.
    Large sets, from start to first step: `spinpot benchmark scale [--sizes 100 50000x2 …] [--peer PYTHON]`.
    """
    given, kind = _arguments(parser)
    peer = given.peer and given.peer.absolute()
    data = Path(os.environ.get("SPINPOT_DATA", "datasets")).absolute() / "NiO_deltaspin"
    from spinpot.benchmark.run import compare, run_benchmark  # after the arguments are parsed: torch is slow
    from spinpot.benchmark.until_error import until_error

    steps = given.steps or 300
    if kind == INFERENCE:
        from spinpot.benchmark.inference import run_inference

        run_inference(given.lammps, peer, given.output)
    elif kind == SCALE:
        from spinpot.benchmark.scale import Plan, run_scale

        plan = Plan(given.sizes or SIZES, given.ranks or [1, 2], steps, given.turns or 3, given.cold, peer)
        run_scale(plan, given.folder and given.folder.absolute(), given.output, given.plot)
    elif kind == "--until-error":
        until_error(peer, data, given.output)
    elif kind == "--peer":
        compare(peer, given.backends or [*BACKENDS], data, steps, given.output)
    else:
        run_benchmark(given.cases or ["NiO_deltaspin"], steps, given.output, given.profile)


def _arguments(parser: ArgumentParser) -> tuple[Namespace, str]:
    """The arguments, and which entry of TAKES they are for."""
    parser.epilog = f"Cases: {'; '.join(f'{name}: {case.about}' for name, case in CASES.items())}."
    add = parser.add_argument
    add("cases", nargs="*", metavar="CASE", help="what to measure (NiO_deltaspin)")
    add("--steps", type=int, help="training steps per case (300)")
    add("--output", type=Path, help="a JSON file for the results")
    add("--profile", action="store_true", help="name the ten dearest operations of a step")
    add("--peer", type=Path, metavar="PYTHON", help="compare with its deepmd-kit")
    add("--backends", nargs="+", choices=BACKENDS, help="of deepmd-kit, that are compared with (all)")
    add("--lammps", type=Path, metavar="DIR", help="inference: also in the LAMMPS of this environment")
    add("--until-error", action="store_true", help="with --peer: train until given errors, half an hour")
    sizes = f"scale: frames, or systems x frames of each ({' '.join(map(str, SIZES))})"
    add("--sizes", nargs="+", type=Size.of, metavar="SIZE", help=sizes)
    add("--ranks", nargs="+", type=int, metavar="N", help="scale: processes of a run (1 2)")
    add("--turns", type=int, metavar="N", help="scale: how often each run is made (3)")
    add("--cold", action="store_true", help="scale: runs begin with the files on the disk, not in memory")
    add("--folder", type=Path, metavar="DIR", help="scale: where the sets are made and kept (nowhere)")
    add("--plot", type=Path, metavar="PNG", help="scale: draw the results")
    given = parser.parse_args()
    kind = _kind(parser, given)
    others = set(vars(given)) - {*TAKES[kind], "cases", "output"}
    if used := [option for option in sorted(others) if getattr(given, option)]:
        parser.error(f"leave out --{used[0].replace('_', '-')}, which is not for {kind}")
    if given.steps is not None and given.steps < 100:
        parser.error(f"--steps {given.steps}: expected at least 100, for the median to mean something")
    for option in ("output", "plot", "folder"):
        place = getattr(given, option)
        if place and not place.absolute().parent.is_dir():
            parser.error(f"--{option} {place}: there is no folder {place.parent}")
    if kind == "--until-error" and not given.peer:
        parser.error("--until-error compares with deepmd-kit: give --peer PYTHON too")
    if given.lammps and given.peer:
        parser.error("inference takes LAMMPS of the environment of --peer: leave out --lammps")
    return given, kind


def _kind(parser: ArgumentParser, given: Namespace) -> str:
    if given.cases in ([INFERENCE], [SCALE]):
        return str(given.cases[0])
    if unknown := [case for case in given.cases if case not in CASES]:
        parser.error(f"there is no case {unknown[0]}; choose from {', '.join(CASES)}")
    kind = "--until-error" if given.until_error else "--peer" if given.peer else "training"
    if given.cases and kind != "training":
        parser.error(f"{kind} is about deepmd-kit's example alone: leave out cases")
    return kind
