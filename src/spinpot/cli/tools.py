"""Commands with a few options each."""

from argparse import ArgumentParser
from pathlib import Path

from spinpot.core.quantities import QUANTITIES

# The functions import their work after parsing the arguments, so that --help and errors appear at once.


def convert(parser: ArgumentParser) -> None:
    """Convert a file; the suffixes determine the formats: `spinpot convert INPUT OUTPUT`.

    input.json or .yaml of deepmd-kit → experiment .yaml; models .dp .yaml .pt .pth of deepmd-kit → .ckpt;
    any model → .safetensors, for inference; .ckpt → .dp, or with --deepmd → .pth.
    """
    add = parser.add_argument
    add("input", type=Path, metavar="INPUT")
    add("output", type=Path, metavar="OUTPUT")
    add("--deepmd", metavar="PYTHON", help="a Python interpreter with deepmd-kit 3.2; required to write .pth")
    add("--network-only", action="store_true", help="drop the exchange term, which .dp and .pth cannot hold")
    given = parser.parse_args()
    from spinpot.evaluation.convert import convert

    convert(given.input, given.output, given.deepmd, given.network_only)


def report(parser: ArgumentParser) -> None:
    """Rebuild report.html and the pictures of a finished run: `spinpot report RUN`."""
    parser.epilog = "For the page of a sweep use `spinpot sweep-table`."
    parser.add_argument("run", type=Path, help="a run folder, e.g. runs/2026-01-01_12-00-00")
    folder = parser.parse_args().run
    from spinpot.training.again import make_run_report_again

    make_run_report_again(folder)
    print(f"Written: {folder / 'report.html'} and its pictures")


def sweep_table(parser: ArgumentParser) -> None:
    """Compare the runs of a sweep: `spinpot sweep-table FOLDER`."""
    parser.add_argument("folder", type=Path, help="the sweep's folder, e.g. multirun/2026-01-01_12-00-00")
    folder = parser.parse_args().folder
    from spinpot.runs.sweep import write_sweep_table

    print(f"Written: {write_sweep_table(folder)} and report.html")


def time_to_error(parser: ArgumentParser) -> None:
    """Print when finished runs first reach given errors: `spinpot time-to-error RUN… [--plot FILE.png]`.

    The default bounds are those of BENCHMARKS.md, --fr 6.2e-3 --fm 8.3e-3.
    """
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="a run folder")
    for name, quantity in QUANTITIES.items():
        what = f"upper bound of {quantity.rmse}, {quantity.unit}"
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="BOUND", help=what)
    parser.add_argument("--plot", type=Path, metavar="PNG", help="plot the errors against time to this file")
    given = parser.parse_args()
    from spinpot.runs.time_to_error import BOUNDS, read_course, table, write_time_to_error

    asked = {name: bound for name in QUANTITIES if (bound := getattr(given, name)) is not None}
    bounds = asked or BOUNDS
    courses = [read_course(run, list(bounds)) for run in given.runs]
    print(table(courses, bounds))
    if given.plot:
        write_time_to_error(courses, bounds, given.plot)


def wandb_dashboard(parser: ArgumentParser) -> None:
    """Save a workspace for spinpot's runs to a wandb project: `spinpot wandb-dashboard`."""
    parser.add_argument("--entity", help="user or team that owns the project (default: yours)")
    parser.add_argument("--project", default="spinpot")
    parser.add_argument("--dry-run", action="store_true", help="print the workspace as JSON; save nothing")
    given = parser.parse_args()
    from spinpot.runs.wandb_dashboard import dashboard, save_dashboard, specification

    if given.dry_run:
        print(specification(dashboard(given.entity or "", given.project)))
    else:
        print(f"Saved: {save_dashboard(given.entity, given.project)}")
