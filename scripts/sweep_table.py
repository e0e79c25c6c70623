"""Compare the runs of a sweep: `python scripts/sweep_table.py FOLDER`."""

import argparse
from pathlib import Path

from spinpot.config.app import run_app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the sweep's folder, e.g. multirun/2026-01-01_12-00-00")
    folder = parser.parse_args().folder
    # Imported here, so that --help answers at once.
    from spinpot.runs.sweep import write_sweep_table

    print(f"Written: {write_sweep_table(folder)}, and report.html beside it")


if __name__ == "__main__":
    run_app(main)
