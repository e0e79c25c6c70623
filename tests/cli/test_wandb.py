"""logger=wandb as users run it, without an account; results are read back from wandb's own files."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from spinpot.config.rerun import settings_of
from spinpot.core.provenance import git_commit, versions
from support.cli import PROJECT, TRAIN, python, run_script
from support.configs import CONFIGS, composed, options
from support.in_process import run_here

pytest.importorskip("wandb")

from support.wandb_files import parts

NOWHERE = {"HOME": "/dev/null/nowhere", "WANDB_MODE": "online", "WANDB_API_KEY": "", "NETRC": "/dev/null"}
"""Neither account nor network, and a home that nobody can write to."""
ERRORS = ("e", "fr", "fm", "fm_transverse", "fm_longitudinal", "v")
SWEEP = CONFIGS / "wandb_sweep.yaml"


def train(small_set, folder, *arguments):
    result = run_here(
        "train.py", *small_set, "logger=wandb", f"hydra.run.dir={folder}", *arguments, cwd=PROJECT
    )
    assert result.returncode == 0, result.stderr
    return result


def the_part(folder):
    (part,) = parts(folder)
    return part


@pytest.fixture(autouse=True)
def wandb_anew():
    """wandb reads its environment once in a process, of which other tests may have been the first."""
    sys.modules["wandb"].teardown()
    yield
    sys.modules["wandb"].teardown()


@pytest.fixture(scope="module")
def test_set(small_set):
    """The validation frames once more, as test set."""
    (validation,) = (argument for argument in small_set if argument.startswith("data.validation="))
    return [*small_set, validation.replace("validation", "test", 1)]


@pytest.fixture(scope="module")
def finished_run(test_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "mine"
    chosen = ["logger=wandb", "callbacks=[default,gradient_norms]"]
    result = run_script("train.py", *test_set, *chosen, f"hydra.run.dir={folder}", **NOWHERE)
    return folder, result


@pytest.fixture(scope="module")
def written(finished_run):
    return the_part(finished_run[0])


def test_it_says_one_line(finished_run, written):
    folder, result = finished_run
    said = [line for line in (result.stdout + result.stderr).splitlines() if "wandb" in line]
    assert said == [f"wandb: logging offline. Upload with: wandb sync {folder}/wandb/{written.part.name}"]


def test_numbers_by_training_step(finished_run, written):
    every, validated = [1, 2, 3, 4], [2, 4]
    for key in ("lr", "pref_e", "pref_fr", "pref_fm", "pref_v", "train/loss", "grad_norm/total"):
        assert list(written.logged(key)) == every, key
    for name in ERRORS:
        assert list(written.logged(f"train/rmse_{name}")) == every
        assert list(written.logged(f"val/rmse_{name}")) == validated
    rows = (finished_run[0] / "metrics.csv").read_text().splitlines()
    scores = [float(row.split(",")[rows[0].split(",").index("val/score")] or "nan") for row in rows[1:]]
    assert written.logged("val/score") == {2: scores[1], 4: scores[3]}
    assert all(value > 0 for value in written.logged("throughput/seconds_per_step").values())
    assert written.logged("throughput/frames_per_second")


def test_the_step_is_every_charts_x_axis(written):
    assert written.metrics["*"].step_metric == "step"
    assert written.metrics["step"].options.defined
    assert all("step" in row for row in written.history)
    assert not {key for key in written.names if "epoch" in key or "global_step" in key}


def test_gradient_norms_add_up_and_are_in_metrics_csv(finished_run, written):
    names = [f"grad_norm/{part}" for part in ("descriptor", "fitting_net_Ni", "fitting_net_O")]
    for step, total in written.logged("grad_norm/total").items():
        squares = sum(written.logged(name)[step] ** 2 for name in names)
        assert total**2 == pytest.approx(squares, rel=1e-9)
    header = (finished_run[0] / "metrics.csv").read_text().splitlines()[0]
    assert header.endswith(",".join(["grad_norm/total", *names]))


def test_config_data_and_program(finished_run, written):
    config = settings_of((finished_run[0] / "config.yaml").read_text())
    assert {key: written.config[key] for key in config} == config
    summary = json.loads((finished_run[0] / "summary.json").read_text())
    assert written.config["data_sets"] == summary["data"]
    assert len(written.config["data_sets"]["train"]["fingerprint"]) == 16
    assert written.config["git_commit"] == git_commit()
    assert written.config["versions"] == versions()


def test_pictures_and_table_of_every_validation(written):
    for key in ("pictures/parity", "pictures/error_histogram"):
        assert list(written.logged(key)) == [2, 4]
        for step, entry in written.logged(key).items():
            assert written.file(entry).read_bytes().startswith(b"\x89PNG")
            assert entry["caption"] == f"step {step}"
    for step, entry in written.logged("tables/errors").items():
        table = json.loads(written.file(entry).read_text())
        rows = {(row[0], row[1]): dict(zip(table["columns"], row, strict=True)) for row in table["data"]}
        assert {element for name, element in rows if name == "force"} == {"all", "Ni", "O"}
        shown = rows["force", "all"]
        assert shown["rmse"] == pytest.approx(1000 * written.logged("val/rmse_fr")[step])
        assert 0 < shown["mae"] < shown["rmse"]
        assert shown["labels' own spread"] > 0
        assert shown["unit"] == "meV/Å"


def test_the_best_checkpoint_is_an_artifact(finished_run, written):
    (model,) = (artifact for artifact in written.artifacts if artifact.type == "model")
    assert "best" in model.aliases
    (file,) = model.manifest.contents
    best = finished_run[0] / "checkpoints" / "best.ckpt"
    assert Path(file.local_path).read_bytes() == best.read_bytes()
    # Beside the run's data: the file in checkpoints/ changes when the run goes on.
    assert written.part in Path(file.local_path).parents


def test_summary(finished_run, written):
    summary = json.loads((finished_run[0] / "summary.json").read_text())
    assert written.summary["seconds_per_step"] == summary["seconds_per_step"]
    for part in ("val", "test"):
        assert summary[part]["rmse_fm"] > 0
        for name, value in summary[part].items():
            assert written.summary[f"best/{part}/{name}"] == value
    assert written.exit_code == [0]
    assert (written.run.project, written.run.display_name, written.run.job_type) == (
        "spinpot",
        "mine",
        "train",
    )


@pytest.mark.slow
def test_a_run_goes_on_wherever_its_folder_is(test_set, tmp_path):
    """Moved, without its wandb folder, and from another folder by path: the same wandb run."""
    before, moved, other, branch = (tmp_path / name for name in ("before", "moved", "other", "branch"))
    train(test_set, before)
    first = the_part(before).run
    before.rename(moved)
    (moved / "wandb").rename(tmp_path / "elsewhere")
    train(test_set, moved, "resume=auto", "trainer.max_steps=6")
    train(test_set, other, f"resume={moved}", "trainer.max_steps=8")
    for folder, steps in ((moved, [5, 6]), (other, [7, 8])):
        part = the_part(folder)
        assert (part.run.run_id, part.run.display_name) == (first.run_id, first.display_name)
        assert list(part.logged("train/loss")) == steps
    # From an earlier checkpoint another run branches off.
    best = f"resume={tmp_path / 'moved' / 'checkpoints' / 'best.ckpt'}"
    train(test_set, branch, best, "trainer.max_steps=8", "trainer.val_check_interval=1")
    assert the_part(branch).run.run_id != first.run_id


def test_jobs_of_a_sweep(small_set, tmp_path):
    folder = tmp_path / "prefactors"
    swept = ["seed=0,1", f"hydra.sweep.dir={folder}", "logger=wandb", "trainer.val_check_interval=4"]
    result = run_here("train.py", "-m", *small_set, *swept, "logger.wandb.tags=[mine]", cwd=PROJECT)
    assert result.returncode == 0, result.stderr
    runs = [the_part(folder / job).run for job in ("0", "1")]
    assert [run.run_group for run in runs] == ["prefactors"] * 2
    assert [run.display_name for run in runs] == ["seed=0", "seed=1"]
    assert [list(run.tags) for run in runs] == [["mine", "seed=0"], ["mine", "seed=1"]]
    assert runs[0].run_id != runs[1].run_id


@pytest.mark.slow
def test_only_the_first_of_a_jobs_processes_logs(small_set, tmp_path):
    folder = tmp_path / "seeds"
    run_script(
        "train.py",
        "-m",
        "seed=0,1",
        *small_set,
        "trainer=ddp_cpu",
        "data.validation_batch_size=2",
        "logger=wandb",
        f"hydra.sweep.dir={folder}",
        **NOWHERE,
    )
    for job in ("0", "1"):
        part = the_part(folder / job)
        assert (part.run.run_group, part.run.display_name) == ("seeds", f"seed={job}")
        assert list(part.run.tags) == [f"seed={job}"]
    assert list(part.logged("train/loss")) == [1, 2, 3, 4]
    # They are drawn only if the predictions for all frames have come together.
    assert list(part.logged("pictures/parity")) == [2, 4]


# ---- without wandb's help ----


@pytest.mark.parametrize("broken", ["init", "Run.log", "Run.finish"])
def test_a_failing_wandb_is_one_warning(small_set, tmp_path, monkeypatch, broken):
    def fail(*args, **kwargs):
        raise OSError("no such service")

    folder = tmp_path / "run"
    monkeypatch.setattr(f"wandb.{broken}", fail)
    result = train(small_set, folder, "trainer.val_check_interval=4")
    assert (folder / "summary.json").exists()
    assert [line for line in result.stderr.splitlines() if "wandb" in line] == [
        "Warning: wandb failed; training continues without it: OSError: no such service"
    ]


@pytest.mark.slow
def test_a_killed_service_is_one_warning(small_set, tmp_path):
    folder = tmp_path / "run"
    long = ["trainer.max_steps=40", "trainer.val_check_interval=20"]
    process = python(
        [TRAIN, *small_set, "logger=wandb", *long, f"hydra.run.dir={folder}"],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    for line in process.stdout:
        if line.startswith("step     20"):
            os.kill(service_of(process.pid), signal.SIGKILL)
            break
    said = process.communicate()[1]
    assert process.returncode == 0
    (warning,) = said.splitlines()
    assert warning.startswith("Warning: wandb failed; training continues without it: ")
    assert json.loads((folder / "summary.json").read_text())["steps"] == 40


def service_of(parent):
    """The wandb-core process that a process has started."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            owner = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if owner == parent and b"wandb-core" in (folder / "cmdline").read_bytes():
                return int(folder.name)
        except OSError:
            continue
    pytest.skip("needs /proc")


def test_disabled(small_set, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    train(small_set, tmp_path / "run")
    assert not list((tmp_path / "run").glob("*wandb*"))


def test_a_failed_run_is_marked_as_such(small_set, tmp_path):
    folder = tmp_path / "run"
    steep = ["scheduler.start_lr=1e300", "trainer.val_check_interval=4"]
    result = run_here("train.py", *small_set, *steep, "logger=wandb", f"hydra.run.dir={folder}", cwd=PROJECT)
    assert result.returncode == 1
    assert the_part(folder).exit_code == [1]


# ---- dashboard and wandb's own sweeps ----


def test_the_dashboard_shows_what_is_logged(written):
    pytest.importorskip("wandb_workspaces")
    made = json.loads(run_script("wandb_dashboard.py", "--dry-run", "--entity=us", **NOWHERE).stdout)
    assert (made["entity"], made["project"]) == ("us", "spinpot")
    names = ["errors", "prefactors and learning rate", "parity", "throughput", "sweep comparison"]
    assert [section["name"] for section in made["sections"]] == names
    panels = [panel for section in made["sections"] for panel in section["panels"]]
    lines = [panel for panel in panels if "y" in panel]
    shown = {key for panel in panels for key in (*panel.get("y", ()), *panel.get("media_keys", ()))}
    assert {panel["x"] for panel in lines} == {"step"}
    assert len(shown) > 20
    assert shown <= written.names
    comparisons = [panel["columns"] for panel in panels if "columns" in panel]
    models = [option for group, option in options() if group == "model"]
    assert len(comparisons) == len(models)
    for columns in comparisons:
        named = (column["metric"]["name"] for column in columns)
        names = [name for name in named if name not in written.summary]
        configs = [composed(f"model={model}") for model in models]
        assert any(all(OmegaConf.select(c, name) is not None for name in names) for c in configs), names


def test_the_dashboard_without_an_account():
    pytest.importorskip("wandb_workspaces")
    result = run_script("wandb_dashboard.py", check=False, **NOWHERE)
    assert result.returncode == 1
    (message,) = (line for line in result.stderr.splitlines() if line.startswith("Error"))
    assert "no wandb account" in message
    assert "wandb login" in message
    assert "Traceback" not in result.stderr


def test_the_sweep_file_fits_the_config(written):
    sweep = yaml.safe_load(SWEEP.read_text())
    assert (PROJECT / sweep["program"]).exists()
    assert sweep["metric"]["name"] in written.names
    config = composed()
    for name, choice in sweep["parameters"].items():
        assert choice["min"] <= OmegaConf.select(config, name) <= choice["max"]


@pytest.mark.slow
def test_a_run_of_the_sweep(small_set, tmp_path):
    """As wandb's agent would start it, which itself needs an account."""
    values = {name: choice["max"] for name, choice in yaml.safe_load(SWEEP.read_text())["parameters"].items()}
    given = tmp_path / "values.yaml"
    given.write_text(yaml.dump({name: {"value": value} for name, value in values.items()}))
    script, *arguments = agent_command(values)
    environment = {"WANDB_SWEEP_ID": "sw33p", "WANDB_RUN_ID": "r1", "WANDB_SWEEP_PARAM_PATH": str(given)}
    run_script(Path(script).name, *arguments, *small_set, cwd=tmp_path, **environment)
    folder = tmp_path / "runs" / "sw33p" / "r1"
    config = OmegaConf.load(folder / "config.yaml")
    assert {name: OmegaConf.select(config, name) for name in values} == values
    assert the_part(folder).run.run_id == "r1"


def agent_command(values):
    """Script and arguments, put together as wandb's agent does."""
    from wandb.sdk.launch.sweeps import utils

    sweep = yaml.safe_load(SWEEP.read_text())
    known = utils.create_sweep_command_args({"args": {name: {"value": v} for name, v in values.items()}})
    known |= {"env": [], "interpreter": [], "program": [sweep["program"]]}
    command = []
    for part in utils.create_sweep_command(sweep["command"]):
        whole = part.startswith("${") and part.endswith("}")
        command += known[part[2:-1]] if whole else [part]
    return command
