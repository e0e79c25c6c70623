"""Save a workspace for spinpot's runs in a wandb project: `python scripts/wandb_dashboard.py`."""

import argparse

from spinpot.config.app import run_app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entity", help="user or team that has the project; your own if not given")
    parser.add_argument("--project", default="spinpot")
    parser.add_argument("--dry-run", action="store_true", help="print what would be saved, as JSON")
    arguments = parser.parse_args()
    # Imported here, so that --help answers at once.
    from spinpot.runs.wandb_dashboard import dashboard, save_dashboard, specification

    if arguments.dry_run:
        print(specification(dashboard(arguments.entity or "", arguments.project)))
    else:
        print(f"Saved: {save_dashboard(arguments.entity, arguments.project)}")


if __name__ == "__main__":
    run_app(main)
