"""When finished runs first reach given errors: `python scripts/time_to_error.py RUN… [--plot FILE.png]`."""

import argparse
from pathlib import Path

from spinpot.config.app import run_app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="a run folder")
    parser.add_argument("--fr", type=float, default=6.2e-3, help="bound of rmse_fr, eV/Å (%(default)s)")
    parser.add_argument("--fm", type=float, default=8.3e-3, help="bound of rmse_fm, eV/μ_B (%(default)s)")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the errors against the time")
    arguments = parser.parse_args()
    # Imported here, so that --help answers at once.
    from spinpot.report.time_to_error import read_course, table, write_time_to_error

    bounds = {"fr": arguments.fr, "fm": arguments.fm}
    courses = [read_course(run, list(bounds)) for run in arguments.runs]
    print(table(courses, bounds))
    if arguments.plot:
        write_time_to_error(courses, bounds, arguments.plot)


if __name__ == "__main__":
    run_app(main)
