"""Measure training steps: `python scripts/benchmark.py [CASE …] [--steps N] [--output FILE]`."""

import argparse
from pathlib import Path

from spinpot.config.app import run_app


def main() -> None:
    # Imported here rather than above, so that a wrong installation is told by run_app.
    from spinpot.benchmark.run import CASES, run_benchmark

    listed = "; ".join(f"{name}: {about}" for name, (about, _) in CASES.items())
    parser = argparse.ArgumentParser(description=__doc__, epilog=f"Cases: {listed}.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="what to measure; all where none is named")
    parser.add_argument("--steps", type=int, default=500, help="training steps per case (500)")
    parser.add_argument("--output", type=Path, help="a JSON file for the results")
    arguments = parser.parse_args()
    unknown = [case for case in arguments.cases if case not in CASES]
    if unknown:
        parser.error(f"there is no case {unknown[0]}; choose from {', '.join(CASES)}")
    if arguments.steps < 100:
        parser.error(f"--steps {arguments.steps}: expected at least 100, for the median to mean something")
    if arguments.output and not arguments.output.absolute().parent.is_dir():
        parser.error(f"--output {arguments.output}: there is no folder {arguments.output.parent}")
    run_benchmark(arguments.cases or list(CASES), arguments.steps, arguments.output)


if __name__ == "__main__":
    run_app(main)
