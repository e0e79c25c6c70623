"""When finished runs first reach given errors: `python scripts/time_to_error.py RUN… [--plot FILE.png]`.

Without bounds they are those of BENCHMARKS.md, --fr 6.2e-3 --fm 8.3e-3.
"""

import argparse
from pathlib import Path

from spinpot.config.app import run_app
from spinpot.core.quantities import QUANTITIES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="a run folder")
    for name, quantity in QUANTITIES.items():
        what = f"bound of {quantity.rmse}, {quantity.unit}"
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="BOUND", help=what)
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the errors against the time")
    arguments = parser.parse_args()
    # Imported here, so that --help answers at once.
    from spinpot.runs.time_to_error import BOUNDS, read_course, table, write_time_to_error

    given = {quantity: getattr(arguments, quantity) for quantity in QUANTITIES}
    bounds = {quantity: bound for quantity, bound in given.items() if bound is not None} or BOUNDS
    courses = [read_course(run, list(bounds)) for run in arguments.runs]
    print(table(courses, bounds))
    if arguments.plot:
        write_time_to_error(courses, bounds, arguments.plot)


if __name__ == "__main__":
    run_app(main)
