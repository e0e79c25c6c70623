#!/bin/sh
# hydra-optuna-sweeper 1.3.0 with the versions that pip installs with it (optuna 2.10.1, SQLAlchemy 2.1.9):
# 1. hydra.sweeper.storage=sqlite:///FILE ends with an AssertionError of optuna before the first trial; SQLAlchemy 1.4 works.
# 2. max_failure_rate is the share of failures among the n_jobs trials that run at the same time, not among n_trials: with
#    n_jobs=1 and a rate of 0.5 the first failure among four trials ends the sweep.
# 3. A trial that returns NaN ends the sweep for every max_failure_rate: the sweeper reports the trial to optuna as failed
#    together with its value, which optuna refuses.
# Exits with 0 while all three hold.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install -q hydra-core==1.3.8 hydra-optuna-sweeper==1.3.0 optuna==2.10.1 SQLAlchemy==2.1.9
env/bin/pip list 2>/dev/null | grep -iE 'hydra|optuna|sqlalchemy|alembic'
cat > app.py <<'PY'
import hydra


@hydra.main(version_base="1.3", config_path=None, config_name="config")
def main(config):
    with open("started", "a") as file:
        file.write(f"{config.x}\n")
    if config.fails == "by_nan":
        return float("nan")
    if config.fails == "by_error":
        raise RuntimeError("this trial fails")
    return config.x


if __name__ == "__main__":
    main()
PY
cat > config.yaml <<'YAML'
defaults:
  - _self_
  - override hydra/sweeper: optuna
x: 0.0
fails: no
hydra:
  mode: MULTIRUN
  sweeper: {n_trials: 4, n_jobs: 1, max_failure_rate: 0.5, params: {x: "interval(0,1)"}}
YAML

sweep() { # exit code (0 or 1), trials that were started, arguments
    wanted="$1 $2"
    shift 2
    rm -f started && touch started
    code=0
    HYDRA_FULL_ERROR=1 env/bin/python app.py --config-dir . "$@" > output 2>&1 || code=$?
    found="$code $(($(wc -l < started)))"
    echo "${*:-as it is}: exit code and trials started $found; last line: $(tail -1 output)"
    if [ "$found" != "$wanted" ]; then
        echo "changed: this was $wanted"
        exit 1
    fi
}

sweep 0 4
sweep 1 0 hydra.sweeper.storage=sqlite:///study.db
sweep 1 1 fails=by_error
sweep 1 1 fails=by_nan hydra.sweeper.max_failure_rate=1.0
env/bin/pip install -q SQLAlchemy==1.4.54 alembic==1.19.2
sweep 0 4 hydra.sweeper.storage=sqlite:///other.db
