"""Make report.html and the pictures of a finished run again: `python scripts/report.py RUN`."""

import argparse
from pathlib import Path

from spinpot.config.app import run_app


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="The page of a sweep is made by scripts/sweep_table.py."
    )
    parser.add_argument("run", type=Path, help="a run folder, e.g. runs/2026-01-01_12-00-00")
    folder = parser.parse_args().run
    # Imported here, so that --help answers at once.
    from spinpot.training.again import make_run_report_again

    make_run_report_again(folder)
    print(f"Written: {folder / 'report.html'}, and the pictures beside it")


if __name__ == "__main__":
    run_app(main)
