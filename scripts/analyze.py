"""Physics: `python scripts/analyze.py checkpoint=FILE structure=FILE task=exchange output=DIR`.

Several tasks in one page: task='[exchange,magnons]'. docs/analyze.md has them all.
"""

import hydra
from omegaconf import DictConfig

from spinpot.config.app import job, run_app


@hydra.main(version_base="1.3", config_path="../configs", config_name="analyze")
@job
def main(config: DictConfig) -> None:
    # Imported here, so that --help and --cfg answer at once.
    from spinpot.analysis.run import analyze
    from spinpot.analysis.tasks import TASKS
    from spinpot.config.validate import analysis_arguments

    analyze(**analysis_arguments(config, {name: task.settings for name, task in TASKS.items()}))


if __name__ == "__main__":
    run_app(main, config_name="analyze")
