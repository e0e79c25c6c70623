"""Audit labelled frames: `python scripts/audit.py systems='[DIR,…]'`, with output=DIR a page as well."""

import hydra
from omegaconf import DictConfig

from spinpot.config.app import job, run_app


@hydra.main(version_base="1.3", config_path="../configs", config_name="audit")
@job
def main(config: DictConfig) -> None:
    # Imported here, so that --help and --cfg answer at once.
    from spinpot.audit.run import audit
    from spinpot.config.validate import audit_arguments

    audit(**audit_arguments(config))


if __name__ == "__main__":
    run_app(main, config_name="audit")
