"""`spinpot benchmark`."""

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from spinpot.benchmark.cases import CASES
from spinpot.benchmark.peer import BACKENDS

INFERENCE = "inference"


def benchmark(parser: ArgumentParser) -> None:
    """Measure training: `spinpot benchmark [CASE …] [--profile] [--peer PYTHON [--until-error]]`.

    Evaluations in Python and in LAMMPS: `spinpot benchmark inference [--lammps DIR | --peer PYTHON]`.
    """
    given = _arguments(parser)
    data = Path(os.environ.get("SPINPOT_DATA", "datasets")).absolute() / "NiO_deltaspin"
    from spinpot.benchmark.run import compare, run_benchmark  # after the arguments are parsed: torch is slow
    from spinpot.benchmark.until_error import until_error

    if given.cases == [INFERENCE]:
        from spinpot.benchmark.inference import run_inference

        run_inference(given.lammps, given.peer and given.peer.absolute(), given.output)
    elif given.until_error:
        until_error(given.peer.absolute(), data, given.output)
    elif given.peer:
        compare(given.peer.absolute(), given.backends or [*BACKENDS], data, given.steps or 300, given.output)
    else:
        run_benchmark(given.cases or ["NiO_deltaspin"], given.steps or 300, given.output, given.profile)


def _arguments(parser: ArgumentParser) -> Namespace:
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
    given = parser.parse_args()
    unknown = [case for case in given.cases if case not in CASES and given.cases != [INFERENCE]]
    if unknown:
        parser.error(f"there is no case {unknown[0]}; choose from {', '.join(CASES)}")
    if given.steps is not None and given.steps < 100:
        parser.error(f"--steps {given.steps}: expected at least 100, for the median to mean something")
    if given.output and not given.output.absolute().parent.is_dir():
        parser.error(f"--output {given.output}: there is no folder {given.output.parent}")
    if given.until_error and not given.peer:
        parser.error("--until-error compares with deepmd-kit: give --peer PYTHON too")
    if given.cases == [INFERENCE]:
        _check_inference(parser, given)
        return given
    if given.lammps:
        parser.error("--lammps is for the case inference alone")
    if given.peer and (given.cases or given.profile):
        parser.error("--peer is about deepmd-kit's example alone: leave out cases and --profile")
    if given.until_error and given.steps is not None:
        parser.error("--until-error has numbers of steps of its own: leave out --steps")
    if given.backends and (given.until_error or not given.peer):
        parser.error("--backends chooses what --peer compares with")
    return given


def _check_inference(parser: ArgumentParser, given: Namespace) -> None:
    others = {"--steps": given.steps, "--profile": given.profile, "--until-error": given.until_error}
    others["--backends"] = given.backends
    if used := [option for option, value in others.items() if value]:
        parser.error(f"inference has no steps of training: leave out {used[0]}")
    if given.lammps and given.peer:
        parser.error("inference takes LAMMPS of the environment of --peer: leave out --lammps")
