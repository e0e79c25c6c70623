"""Errors for folders with another run, for unsuitable or damaged checkpoints, and for diverging runs."""

import shutil

import numpy as np
import pytest
import torch

from support.folders import write_small_set
from support.in_process import run_here, the_message


def contents(folder):
    return {file: file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


# ---- runs that exist ----


def test_a_folder_that_holds_a_run(small_set, finished, place):
    before = contents(finished)
    result = run_here("train.py", *small_set, f"hydra.run.dir={finished}", cwd=place)
    message = the_message(result)
    assert f"{finished} holds a run already" in message
    assert "resume=auto" in message
    other = run_here(
        "train.py", *small_set, f"hydra.run.dir={finished}", f"resume={copy_of(finished, place)}", cwd=place
    )
    assert "holds a run already" in the_message(other)
    assert contents(finished) == before


def copy_of(run, place):
    return shutil.copytree(run, place / "copy")


def test_a_folder_with_the_beginning_of_a_run(small_set, finished, tmp_path, place):
    folder = tmp_path / "begun"
    folder.mkdir()
    shutil.copy(finished / "config.yaml", folder)
    before = contents(folder)
    message = the_message(run_here("train.py", *small_set, f"hydra.run.dir={folder}", cwd=place))
    assert f"{folder} holds a run already (config.yaml)" in message
    assert contents(folder) == before
    result = run_here("train.py", *small_set, f"hydra.run.dir={folder}", "resume=auto", cwd=place)
    assert result.returncode == 0


@pytest.mark.parametrize("resume", [[], ["resume=auto"]])
def test_a_folder_of_another_command(small_set, tmp_path, place, resume):
    folder = tmp_path / "labels"
    folder.mkdir()
    for name in ("summary.json", "report.html"):
        (folder / name).write_text("of another command")
    before = contents(folder)
    message = the_message(run_here("train.py", *small_set, f"hydra.run.dir={folder}", *resume, cwd=place))
    assert f"{folder} holds summary.json, report.html of another command" in message
    assert contents(folder) == before


def test_resuming_a_finished_run_does_nothing(small_set, finished, place):
    before = contents(finished)
    result = run_here("train.py", *small_set, f"hydra.run.dir={finished}", "resume=auto", cwd=place)
    assert result.returncode == 0
    assert "Nothing to do" in result.stdout
    assert "finished at step 4" in result.stdout
    assert not result.stderr
    assert contents(finished) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("trainer.max_steps=2", "is from step 4, and trainer.max_steps=2: no step is left"),
        ("scheduler.start_lr=1e-3", "no step is left"),
        ("model.spin.virtual_len=0.5", "holds another model"),
    ],
)
def test_a_finished_run_cannot_be_changed(small_set, finished, place, change, message):
    before = contents(finished)
    arguments = [*small_set, change, f"hydra.run.dir={finished}", "resume=auto"]
    result = run_here("train.py", *arguments, cwd=place)
    assert result.returncode == 1
    assert message in result.stderr
    assert contents(finished) == before


def test_damaged_summary_is_no_summary(small_set, finished, tmp_path, place):
    folder = shutil.copytree(finished, tmp_path / "damaged")
    (folder / "summary.json").write_text("{")
    arguments = [*small_set, "trainer.max_steps=6", f"hydra.run.dir={folder}", "resume=auto"]
    result = run_here("train.py", *arguments, cwd=place)
    assert result.returncode == 0, result.stderr
    assert '"steps": 6' in (folder / "summary.json").read_text()


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_finished_run_without_its_last_evaluation_gets_it(small_set, finished, tmp_path, place):
    folder = shutil.copytree(finished, tmp_path / "killed")
    (folder / "summary.json").unlink()
    result = run_here("train.py", *small_set, f"hydra.run.dir={folder}", "resume=auto", cwd=place)
    assert result.returncode == 0
    assert (folder / "summary.json").exists()


def test_fewer_steps_than_the_run_has_made(small_set, finished, tmp_path, place):
    """Also if the last evaluation is missing, and each time."""
    folder = shutil.copytree(finished, tmp_path / "killed")
    (folder / "summary.json").unlink()
    before = contents(folder)
    for _ in range(2):
        arguments = [*small_set, "trainer.max_steps=2", f"hydra.run.dir={folder}", "resume=auto"]
        message = the_message(run_here("train.py", *arguments, cwd=place))
        assert "is from step 4, and trainer.max_steps=2: no step is left to train" in message
    assert contents(folder) == before


def change_a_force(folder):
    file = folder / "small" / "set.000" / "force.npy"
    force = np.load(file)
    force[0, 0] += 1e-3
    np.save(file, force)


@pytest.mark.parametrize(("change", "changed"), [(change_a_force, True), (lambda folder: None, False)])
def test_going_on_with_changed_data_is_told(place, change, changed):
    arguments = [*write_small_set(place / "data"), f"hydra.run.dir={place / 'run'}"]
    assert run_here("train.py", *arguments, cwd=place).returncode == 0
    change(place / "data")
    result = run_here("train.py", *arguments, "resume=auto", "trainer.max_steps=6", cwd=place)
    assert result.returncode == 0, result.stderr
    assert "trainer.max_steps" in result.stdout
    assert ("frames of data.train" in result.stdout) == changed
    assert ("no exact continuation" in result.stdout) == changed
    assert "frames of data.validation" not in result.stdout


def test_a_checkpoint_without_fingerprints_tells_nothing_of_the_data(small_set, finished, tmp_path, place):
    folder = shutil.copytree(finished, tmp_path / "of_before")
    last = folder / "checkpoints" / "last.ckpt"
    stored = torch.load(last, weights_only=True)
    assert stored["spinpot"].pop("fingerprints").keys() == {"train", "validation"}
    torch.save(stored, last)
    arguments = [*small_set, "resume=auto", "trainer.max_steps=6", f"hydra.run.dir={folder}"]
    result = run_here("train.py", *arguments, cwd=place)
    assert result.returncode == 0, result.stderr
    assert "frames of data" not in result.stdout


def test_no_step_left_for_another_run(refused, finished):
    message = refused(f"resume={finished}")
    assert "no step is left to train. Raise trainer.max_steps." in message


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("model.descriptor.neuron=[4,16]", "descriptor.neuron: [4, 8] in the checkpoint, [4, 16] now"),
        ("model.descriptor.rcut=3.5", "descriptor.rcut: 4.0 in the checkpoint, 3.5 now"),
        ("model.spin.virtual_len=0.3", "virtual_scale: [0.31404"),
        ("model.spin.time_reversal=exact", "time_reversal: False in the checkpoint, True now"),
    ],
)
def test_another_model(refused, finished, change, part):
    message = refused(f"resume={finished}", "trainer.max_steps=6", change)
    assert "holds another model" in message
    assert part in message


def test_another_optimizer(refused, finished):
    message = refused(f"resume={finished}", "trainer.max_steps=6", "optimizer=muon")
    assert "spinpot.training.optimizers.Adam" in message
    assert "Muon" in message
    assert "undo the change" in message


def test_another_parameter(refused, finished):
    message = refused(f"resume={finished}", "trainer.max_steps=6", "loss.label_scale_fm=learned")
    assert "loss.label_scale_fm: 'not learned' in the checkpoint, 'learned' now" in message
    assert "undo the change" in message


def cut(contents):
    return contents[: len(contents) // 2]


def zeroed(contents):
    middle = len(contents) // 2
    return contents[:middle] + bytes(2000) + contents[middle + 2000 :]


@pytest.mark.parametrize("damage", [cut, zeroed, lambda contents: b"hello"])
def test_damaged_checkpoint(refused, finished, tmp_path, damage):
    file = tmp_path / "damaged.ckpt"
    file.write_bytes(damage((finished / "checkpoints" / "last.ckpt").read_bytes()))
    message = refused(f"resume={file}", "trainer.max_steps=6")
    assert message == f"{file}: not a readable checkpoint, maybe truncated. Use another, e.g. best.ckpt."


def test_empty_checkpoint(refused, tmp_path):
    file = tmp_path / "empty.ckpt"
    file.write_bytes(b"")
    message = refused(f"resume={file}", "trainer.max_steps=6")
    assert message == f"{file}: empty file. Copy or write the file again."


LACKS = {
    "spinpot": "not a spinpot checkpoint",
    "state_dict": "lacks the model or its weights",
    "optimizer_states": "holds no optimizer state",
}


@pytest.mark.parametrize("entry", LACKS)
def test_checkpoint_that_lacks_something(refused, finished, tmp_path, entry):
    stored = torch.load(finished / "checkpoints" / "last.ckpt", weights_only=True)
    del stored[entry]
    torch.save(stored, tmp_path / "other.ckpt")
    assert LACKS[entry] in refused(f"resume={tmp_path / 'other.ckpt'}", "trainer.max_steps=6")


def test_checkpoint_whose_weights_are_incomplete(refused, finished, tmp_path):
    stored = torch.load(finished / "checkpoints" / "last.ckpt", weights_only=True)
    stored["state_dict"].popitem()
    torch.save(stored, tmp_path / "other.ckpt")
    assert "weights do not fit" in refused(f"resume={tmp_path / 'other.ckpt'}", "trainer.max_steps=6")


# ---- a run that diverges ----

DIVERGES = ["scheduler.start_lr=1e80", "scheduler.stop_lr=1e79", "trainer.max_steps=30"]


def test_a_diverging_run_stops_and_keeps_the_last_good_checkpoint(small_set, place):
    folder = place.parent / "run"
    arguments = [*small_set, *DIVERGES, "trainer.val_check_interval=1", f"hydra.run.dir={folder}"]
    message = the_message(run_here("train.py", *arguments, cwd=place))
    assert "not finite at step 2. Frames of the batch: " in message
    assert message.count(" frame ") == 4
    last = folder / "checkpoints" / "last.ckpt"
    assert f"The last good checkpoint is {last}." in message
    stored = torch.load(last, weights_only=True)
    assert stored["global_step"] == 1
    assert all(torch.isfinite(value).all() for value in stored["state_dict"].values())
    assert not (folder / "summary.json").exists()


def test_a_run_that_diverges_before_its_first_checkpoint(small_set, place):
    folder = place.parent / "run"
    arguments = [*small_set, *DIVERGES, "trainer.val_check_interval=30", f"hydra.run.dir={folder}"]
    message = the_message(run_here("train.py", *arguments, cwd=place))
    assert "There is no checkpoint yet." in message


def test_a_run_of_a_version_with_another_score_says_so(small_set, finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / "summary.json").unlink()
    last = run / "checkpoints" / "last.ckpt"
    contents = torch.load(last, weights_only=True)
    del contents["spinpot"]["score"]
    torch.save(contents, last)
    more = ["trainer.max_steps=6", "resume=auto", f"hydra.run.dir={run}"]
    result = run_here("train.py", *small_set, *more, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "look: last.ckpt was written by a version that defined val/score differently" in result.stdout
