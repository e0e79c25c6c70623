"""Measure training: `python scripts/benchmark.py [CASE …] [--profile] [--peer PYTHON [--until-error]]`."""

import argparse
import os
from pathlib import Path

from spinpot.config.app import run_app


def main() -> None:
    # Imported here rather than above, so that a wrong installation is told by run_app.
    from spinpot.benchmark.cases import CASES
    from spinpot.benchmark.peer import BACKENDS
    from spinpot.benchmark.run import compare, run_benchmark
    from spinpot.benchmark.until_error import until_error

    listed = "; ".join(f"{name}: {case.about}" for name, case in CASES.items())
    parser = argparse.ArgumentParser(description=__doc__, epilog=f"Cases: {listed}.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="what to measure (NiO_deltaspin)")
    parser.add_argument("--steps", type=int, help="training steps per case (300)")
    parser.add_argument("--output", type=Path, help="a JSON file for the results")
    parser.add_argument("--profile", action="store_true", help="name the ten dearest operations of a step")
    parser.add_argument("--peer", type=Path, metavar="PYTHON", help="compare with its deepmd-kit")
    parser.add_argument(
        "--backends", nargs="+", choices=BACKENDS, help="of deepmd-kit, that are compared with (all)"
    )
    parser.add_argument(
        "--until-error", action="store_true", help="with --peer: train until given errors, about half an hour"
    )
    arguments = parser.parse_args()
    unknown = [case for case in arguments.cases if case not in CASES]
    if unknown:
        parser.error(f"there is no case {unknown[0]}; choose from {', '.join(CASES)}")
    steps = 300 if arguments.steps is None else arguments.steps
    if steps < 100:
        parser.error(f"--steps {steps}: expected at least 100, for the median to mean something")
    if arguments.output and not arguments.output.absolute().parent.is_dir():
        parser.error(f"--output {arguments.output}: there is no folder {arguments.output.parent}")
    if arguments.until_error and not arguments.peer:
        parser.error("--until-error compares with deepmd-kit: give --peer PYTHON too")
    if arguments.peer and (arguments.cases or arguments.profile):
        parser.error("--peer is about deepmd-kit's example alone: leave out cases and --profile")
    if arguments.until_error and arguments.steps is not None:
        parser.error("--until-error has numbers of steps of its own: leave out --steps")
    if arguments.backends and (arguments.until_error or not arguments.peer):
        parser.error("--backends chooses what --peer compares with")
    data = Path(os.environ.get("SPINPOT_DATA", "datasets")).absolute() / "NiO_deltaspin"
    if arguments.until_error:
        until_error(arguments.peer.absolute(), data, arguments.output)
    elif arguments.peer:
        backends = arguments.backends or list(BACKENDS)
        compare(arguments.peer.absolute(), backends, data, steps, arguments.output)
    else:
        cases = arguments.cases or ["NiO_deltaspin"]
        run_benchmark(cases, steps, arguments.output, arguments.profile)


if __name__ == "__main__":
    run_app(main)
