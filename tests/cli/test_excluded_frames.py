"""data.exclude in the real commands: messages, stored settings and resumed runs."""

import json
import shutil

import pytest
from omegaconf import OmegaConf

from support.folders import labelled_by_a_potential, write_npy
from support.html import Page
from support.in_process import run_here, the_message

EXCLUDE = "data.exclude={train: [8, 1-2], validation: [0]}"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_npy(folder / "train", labelled_by_a_potential(1, 10))
    write_npy(folder / "validation", labelled_by_a_potential(3, 4))
    return folder


def train(place, run, *arguments):
    sets = [f"data.{name}=[{place / name}]" for name in ("train", "validation")]
    small = ["data=npy", "debug=fast", "report=false", "model.descriptor.rcut=4.0", f"hydra.run.dir={run}"]
    return run_here("train.py", *small, *sets, *arguments, cwd=place)


@pytest.fixture(scope="module")
def finished(place):
    result = train(place, place / "run", EXCLUDE)
    assert result.returncode == 0, result.stderr
    return result


def test_a_run_says_what_it_leaves_out(place, finished):
    assert "data.exclude leaves out 3 frames of train: 1, 2, 8.\n" in finished.stdout
    assert "data.exclude leaves out 1 frame of validation: 0.\n" in finished.stdout
    assert "Errors on the validation set (3 frames)" in finished.stdout
    data = json.loads((place / "run" / "summary.json").read_text())["data"]
    assert {name: own["frames"] for name, own in data.items()} == {"train": 7, "validation": 3}
    assert data["train"]["excluded"] == {"train": [1, 2, 8]}
    assert data["validation"]["excluded"] == {"validation": [0]}
    config = OmegaConf.load(place / "run" / "config.yaml")
    assert config.data.exclude == {"train": [8, "1-2"], "validation": [0]}


def test_its_page_is_made_again_of_the_same_frames(place, finished):
    result = run_here("report.py", str(place / "run"), cwd=place)
    assert result.returncode == 0, result.stderr
    text = (place / "run" / "report.html").read_text()
    assert "Frames left out by data.exclude: train (1, 2, 8)." in text
    assert "Frames left out by data.exclude: validation (0)." in text
    assert any(
        caption.startswith("Validation set 3 frames")
        for caption in Page.of(place / "run" / "report.html").tables
    )


def test_its_config_runs_again(place, finished):
    again = run_here(
        "train.py",
        "--config-dir",
        str(place / "run"),
        "--config-name",
        "config",
        f"hydra.run.dir={place}/again",
        cwd=place,
    )
    assert again.returncode == 0, again.stderr
    one, other = (json.loads((place / run / "summary.json").read_text()) for run in ("run", "again"))
    assert one["data"] == other["data"]
    assert one["val"] == other["val"]


def test_resuming_with_other_frames_says_so(place, finished, tmp_path):
    shutil.copytree(place / "run", tmp_path / "run")
    changed = train(
        place, tmp_path / "run", "data.exclude={train: [8]}", "resume=auto", "trainer.max_steps=6"
    )
    assert changed.returncode == 0, changed.stderr
    said = " ".join(changed.stdout.split())
    assert "a changed config and changed data" in said
    assert "data.exclude" in said


def test_the_same_frames_resume_without_a_word(place, finished, tmp_path):
    shutil.copytree(place / "run", tmp_path / "run")
    longer = train(place, tmp_path / "run", EXCLUDE, "resume=auto", "trainer.max_steps=6")
    assert longer.returncode == 0, longer.stderr
    assert "changed data" not in longer.stdout
    assert "Nothing to do" in train(place, place / "run", EXCLUDE, "resume=auto").stdout


def test_a_run_of_before_there_was_the_setting_resumes(place, tmp_path):
    run, old = tmp_path / "run", tmp_path / "old"
    assert train(place, run).returncode == 0
    config = OmegaConf.load(run / "config.yaml")
    del config.data["exclude"]
    old.mkdir()
    OmegaConf.save(config, old / "config.yaml")
    shutil.rmtree(run)
    by_file = ("--config-dir", str(old), "--config-name", "config", f"hydra.run.dir={run}")
    first = run_here("train.py", *by_file, cwd=place)
    assert first.returncode == 0, first.stderr
    assert "exclude" not in OmegaConf.load(run / "config.yaml").data
    assert "Nothing to do" in train(place, run, "resume=auto").stdout


@pytest.mark.parametrize(
    ("arguments", "excluded"),
    [
        (["data.exclude={mine: [3]}"], {"mine": [3]}),
        (["data.exclude.mine=[3]"], {"data_0": [8], "mine": [3]}),
        (["data.exclude={mine: [3]}", "data.exclude.data_0=[1-2]"], {"mine": [3], "data_0": ["1-2"]}),
        (["data.exclude=null", "data.exclude.mine=[3]"], {"mine": [3]}),
        (["data.exclude=null"], None),
    ],
)
def test_another_system_than_the_data_set_names(tmp_path, arguments, excluded):
    """What a data set leaves out is replaced by a section, and changed by a key of it."""
    shown = run_here("train.py", "experiment=native_spin", *arguments, "--cfg", "job", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert OmegaConf.create(shown.stdout).data.exclude == excluded


@pytest.mark.parametrize("experiment", ["native_spin", "fast", "fe_gpaw"])
def test_an_experiment_leaves_out_no_frames_of_other_data(place, experiment):
    shown = run_here("train.py", f"experiment={experiment}", "data=npy", "--cfg", "job", cwd=place)
    assert OmegaConf.create(shown.stdout).data.exclude is None


def test_a_sweep_replaces_what_the_data_set_names(place):
    small = ["model.descriptor.cutoff=4.0", "trainer.max_steps=0", "report=false"]
    sets = [f"data.{name}=[{place / name}]" for name in ("train", "validation")]
    swept = ["data.exclude={train: [8]},{validation: [0]}", f"hydra.sweep.dir={place}/swept"]
    done = run_here("train.py", "-m", "experiment=native_spin", "data=npy", *small, *sets, *swept, cwd=place)
    assert done.returncode == 0, done.stderr
    excluded = [OmegaConf.load(place / "swept" / job / "config.yaml").data.exclude for job in ("0", "1")]
    assert excluded == [{"train": [8]}, {"validation": [0]}]


def test_where_there_is_no_such_section_none_is_made(place):
    refused = run_here(
        "evaluate.py", "checkpoint=a", "systems=[b]", "output=c", "data.exclude={train: [8]}", cwd=place
    )
    assert the_message(refused).startswith("Unknown setting data")


@pytest.mark.parametrize(
    ("exclude", "message"),
    [
        ("{trian: [8]}", "data.exclude: no set has a system trian."),
        ("{train: [10]}", "data.exclude: train has no frame 10:"),
        ("{train: [-1]}", "data.exclude: train: -1 is not a frame number."),
        ("{validation: [0-3]}", "data.exclude leaves out every frame of data.validation."),
        ("[8]", "data.exclude=[8]: expected a section of keys and values or null."),
    ],
)
def test_wrong_ones_are_refused(place, tmp_path, exclude, message):
    refused = train(place, tmp_path / "run", f"data.exclude={exclude}")
    assert the_message(refused).startswith(message)
    assert not (tmp_path / "run").exists()
