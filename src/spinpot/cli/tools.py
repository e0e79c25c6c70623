"""Commands with a few options each."""

from argparse import ArgumentParser
from pathlib import Path

from spinpot.core.quantities import QUANTITIES

# The work is imported after the arguments are parsed, so that --help and errors in them come at once.


def convert(parser: ArgumentParser) -> None:
    """Convert by suffix: `spinpot convert INPUT OUTPUT`.

    input.json, .yaml → experiment; deepmd-kit's .dp .yaml .pt .pth → .ckpt;
    any of these models → .safetensors, for inference; .ckpt → .dp, or .pth with --deepmd.
    """
    add = parser.add_argument
    add("input", type=Path, metavar="INPUT")
    add("output", type=Path, metavar="OUTPUT")
    add("--deepmd", metavar="PYTHON", help="an interpreter with deepmd-kit 3.2, to write .pth")
    add("--network-only", action="store_true", help="leave out an exchange term, to write .dp or .pth")
    given = parser.parse_args()
    from spinpot.evaluation.convert import convert

    convert(given.input, given.output, given.deepmd, given.network_only)


def report(parser: ArgumentParser) -> None:
    """Make report.html and the pictures of a finished run again: `spinpot report RUN`."""
    parser.epilog = "The page of a sweep is made by `spinpot sweep-table`."
    parser.add_argument("run", type=Path, help="a run folder, e.g. runs/2026-01-01_12-00-00")
    folder = parser.parse_args().run
    from spinpot.training.again import make_run_report_again

    make_run_report_again(folder)
    print(f"Written: {folder / 'report.html'}, and the pictures beside it")


def sweep_table(parser: ArgumentParser) -> None:
    """Compare the runs of a sweep: `spinpot sweep-table FOLDER`."""
    parser.add_argument("folder", type=Path, help="the sweep's folder, e.g. multirun/2026-01-01_12-00-00")
    folder = parser.parse_args().folder
    from spinpot.runs.sweep import write_sweep_table

    print(f"Written: {write_sweep_table(folder)}, and report.html beside it")


def time_to_error(parser: ArgumentParser) -> None:
    """When finished runs first reach given errors: `spinpot time-to-error RUN… [--plot FILE.png]`.

    Without bounds they are those of BENCHMARKS.md, --fr 6.2e-3 --fm 8.3e-3.
    """
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="a run folder")
    for name, quantity in QUANTITIES.items():
        what = f"bound of {quantity.rmse}, {quantity.unit}"
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="BOUND", help=what)
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the errors against the time")
    given = parser.parse_args()
    from spinpot.runs.time_to_error import BOUNDS, read_course, table, write_time_to_error

    asked = {name: bound for name in QUANTITIES if (bound := getattr(given, name)) is not None}
    bounds = asked or BOUNDS
    courses = [read_course(run, list(bounds)) for run in given.runs]
    print(table(courses, bounds))
    if given.plot:
        write_time_to_error(courses, bounds, given.plot)


def wandb_dashboard(parser: ArgumentParser) -> None:
    """Save a workspace for spinpot's runs in a wandb project: `spinpot wandb-dashboard`."""
    parser.add_argument("--entity", help="user or team that has the project; your own if not given")
    parser.add_argument("--project", default="spinpot")
    parser.add_argument("--dry-run", action="store_true", help="print what would be saved, as JSON")
    given = parser.parse_args()
    from spinpot.runs.wandb_dashboard import dashboard, save_dashboard, specification

    if given.dry_run:
        print(specification(dashboard(given.entity or "", given.project)))
    else:
        print(f"Saved: {save_dashboard(given.entity, given.project)}")
