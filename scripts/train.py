"""Train a spin potential: `python scripts/train.py [group=option] [key=value] …`; see configs/train.yaml."""

import hydra
from omegaconf import DictConfig

from spinpot.config.app import in_sweep, job, output_folder, run_app


@hydra.main(version_base="1.3", config_path="../configs", config_name="train")
@job
def main(config: DictConfig) -> float | None:
    # Imported here, so that --help and --cfg answer at once.
    from spinpot.config.validate import validate
    from spinpot.training.finish import optimized_metric
    from spinpot.training.ranks import all_ranks
    from spinpot.training.run import train
    from spinpot.training.sweep import train_job

    if in_sweep():
        return train_job(config, output_folder())
    validate(config)
    with all_ranks(config.trainer):
        return optimized_metric(config.optimized_metric, train(config, output_folder()))


if __name__ == "__main__":
    run_app(main)
