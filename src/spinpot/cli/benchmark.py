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
"""The kinds of benchmarks, and the options that each takes in addition to --output."""
SIZES = [Size(1, 100), Size(1, 10_000), Size(1, 1_000_000), Size(50_000, 2)]


def benchmark(parser: ArgumentParser) -> None:
    """Measure training: `spinpot benchmark [CASE …] [--profile] [--peer PYTHON [--until-error]]`.

    Measure evaluation in Python and LAMMPS: `spinpot benchmark inference [--lammps DIR | --peer PYTHON]`.
    Measure the start with large sets: `spinpot benchmark scale [--sizes 100 50000x2 …] [--peer PYTHON]`.
    """
    given, kind = _arguments(parser)
    peer = given.peer and given.peer.absolute()
    data = Path(os.environ.get("SPINPOT_DATA", "datasets")).absolute() / "NiO_deltaspin"
    from spinpot.benchmark.run import compare, run_benchmark  # here, because importing torch is slow
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
    """The arguments, and the kind of benchmark (a key of TAKES)."""
    parser.epilog = f"Cases: {'; '.join(f'{name}: {case.about}' for name, case in CASES.items())}."
    add = parser.add_argument
    add("cases", nargs="*", metavar="CASE", help="what to measure (default: NiO_deltaspin)")
    add("--steps", type=int, help="training steps per case (default: 300)")
    add("--output", type=Path, help="write the results to this JSON file")
    add("--profile", action="store_true", help="list the ten slowest operations of a step")
    peer = "compare with the deepmd-kit of this Python interpreter"
    add("--peer", type=Path, metavar="PYTHON", help=peer)
    add(
        "--backends",
        nargs="+",
        choices=BACKENDS,
        help="backends of deepmd-kit to compare with (default: all)",
    )
    add("--lammps", type=Path, metavar="DIR", help="inference: also measure the LAMMPS of this environment")
    until = "with --peer: train both programs until they reach given errors (half an hour)"
    add("--until-error", action="store_true", help=until)
    sizes = f"scale: frames, or systems x frames per system (default: {' '.join(map(str, SIZES))})"
    add("--sizes", nargs="+", type=Size.of, metavar="SIZE", help=sizes)
    add("--ranks", nargs="+", type=int, metavar="N", help="scale: processes per run (default: 1 2)")
    add("--turns", type=int, metavar="N", help="scale: repetitions of each run (default: 3)")
    cold = "scale: empty the file cache before each run, so that it reads from disk"
    add("--cold", action="store_true", help=cold)
    folder = "scale: make and keep the sets in this folder (default: a temporary folder)"
    add("--folder", type=Path, metavar="DIR", help=folder)
    add("--plot", type=Path, metavar="PNG", help="scale: plot the results to this file")
    given = parser.parse_args()
    kind = _kind(parser, given)
    others = set(vars(given)) - {*TAKES[kind], "cases", "output"}
    if used := [option for option in sorted(others) if getattr(given, option)]:
        parser.error(f"leave out --{used[0].replace('_', '-')}: it does not apply to {kind}")
    if given.steps is not None and given.steps < 100:
        parser.error(f"--steps {given.steps}: expected at least 100, for a meaningful median")
    for option in ("output", "plot", "folder"):
        place = getattr(given, option)
        if place and not place.absolute().parent.is_dir():
            parser.error(f"--{option} {place}: there is no folder {place.parent}")
    if kind == "--until-error" and not given.peer:
        parser.error("--until-error compares with deepmd-kit: give --peer PYTHON as well")
    if given.lammps and given.peer:
        parser.error("with --peer, inference uses the LAMMPS of that environment: leave out --lammps")
    return given, kind


def _kind(parser: ArgumentParser, given: Namespace) -> str:
    if given.cases in ([INFERENCE], [SCALE]):
        return str(given.cases[0])
    if unknown := [case for case in given.cases if case not in CASES]:
        parser.error(f"there is no case {unknown[0]}; choose from {', '.join(CASES)}")
    kind = "--until-error" if given.until_error else "--peer" if given.peer else "training"
    if given.cases and kind != "training":
        parser.error(f"{kind} always runs deepmd-kit's example: leave out the cases")
    return kind
