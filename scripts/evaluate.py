"""Test a checkpoint: `python scripts/evaluate.py checkpoint=FILE systems='[DIR,…]' output=DIR`.

Several of them, checkpoint='[FILE,FILE,…]', are compared with each other: model_devi.out.
"""

import hydra
from omegaconf import DictConfig

from spinpot.config.app import job, run_app


@hydra.main(version_base="1.3", config_path="../configs", config_name="evaluate")
@job
def main(config: DictConfig) -> None:
    # Imported here, so that --help and --cfg answer at once.
    from spinpot.config.validate import evaluation_arguments

    arguments = evaluation_arguments(config)
    if isinstance(arguments["checkpoint"], list):
        from spinpot.evaluation.deviation import model_deviation

        model_deviation(arguments.pop("checkpoint"), **arguments)
    else:
        from spinpot.evaluation.evaluate import evaluate

        evaluate(**arguments)


if __name__ == "__main__":
    run_app(main, config_name="evaluate")
