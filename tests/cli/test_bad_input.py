"""Wrong input stops before training with one message: what, where and what to do. Nothing is changed."""

import csv
import json
from functools import partial

import pytest
import torch

from support.cli import run_script
from support.configs import options
from support.folders import labelled_by_a_potential, write_npy
from support.in_process import run_here, the_message

EXPERIMENTS = [option for group, option in options() if group == "experiment"]

# ---- the command line ----

KEYS = {
    "model.spin.virtual_lenn=0.3": [
        "Unknown setting model.spin.virtual_lenn.",
        "mean model.spin.virtual_len?",
    ],
    "modle.spin.virtual_len=0.3": ["Did you mean model.spin.virtual_len?"],
    "virtual_len=0.3": ["Did you mean model.spin.virtual_len?"],
    "losss=ener_spin": ["Unknown setting losss.", "Did you mean loss?"],
    "+typo=1": ["Unknown setting typo.", "The config takes: callbacks, data"],
    "+model.spin.virtual_lenn=1": ["Did you mean model.spin.virtual_len?", "model.spin takes: spin_norm"],
    "+trainer.max_step=1": ["Did you mean trainer.max_steps?"],
    "+paths.data=x": ["Unknown setting paths.data.", "data_dir"],
    "~trainer.devicess": ["Did you mean trainer.devices?"],
    "trainer.strategy=ddp": ["write +trainer.strategy=VALUE"],
    "~loss": ["no section loss", "loss=ener_spin"],
    "~data.train": ["data.train has no value, but is needed"],
    "data.train=???": ["data.train has no value, but is needed"],
    "loss=ener_spinn": ["There is no loss=ener_spinn; choose from ener_spin.", "Did you mean ener_spin?"],
    "callbacks=[default,emma]": ["There is no callbacks=emma", "Did you mean ema?"],
    "experiment=mine": [f"There is no experiment=mine; choose from {', '.join(EXPERIMENTS)}."],
    "optimizer._target_=torch.optim.Adm": ["there is no Adm in torch.optim. Did you mean Adam?"],
    "loss._target_=spinpott.Loss": ["cannot be imported: No module named 'spinpott'"],
    "optimizer.lr=${scheduler.start}": ["optimizer.lr", "'scheduler.start' not found"],
    "+callbacks.mine.monitor=x": ["callbacks.mine has no _target_"],
    "model.spin.virtual_len=[0.1": ["Cannot read the argument model.spin.virtual_len=[0.1", "key=value"],
    "foo": ["Cannot read the argument foo"],
    "loss=3": ["must be a string or a list"],
    "hydra.run.dir=/dev/null/run": ["Cannot use /dev/null/run: Not a directory", "hydra.run.dir=DIR"],
}


@pytest.mark.parametrize("argument", KEYS)
def test_unknown_names(refused, argument):
    message = refused(argument)
    for part in KEYS[argument]:
        assert part in message


def test_settings_of_another_model(place):
    message = the_message(run_here("train.py", "model=native_spin", "model.spin.virtual_len=0.4", cwd=place))
    assert "Unknown setting model.spin.virtual_len. It is a setting of model=spin." in message


VALUES = {
    "data.batch_size=three": "data.batch_size=three: expected a whole number.",
    "data.batch_size=2.5": "expected a whole number.",
    "data.batch_size=0": "data.batch_size=0: expected at least 1 frame.",
    "data.num_workers=-1": "data.num_workers=-1 must not be negative.",
    "data.train=null": "data.train=null: expected text or a list of texts.",
    "data.train=5": "Quote it: data.train='\"5\"'.",
    "data.train=[]": "data.train names no folder",
    "data.type_map=Ni": "data.type_map=Ni: expected a list of texts or null.",
    "seed=abc": "seed=abc: expected a whole number.",
    "seed=-1": "seed=-1: expected a whole number >= 0.",
    "model.descriptor.neuron=8": "model.descriptor.neuron=8: expected a list of whole numbers.",
    "model.descriptor.neuron=[8,x]": "expected a list of whole numbers.",
    "model.descriptor.rcut=-1": "expected 0 <= rcut_smth < rcut, which is -1",
    "model.descriptor.rcut=null": "model.descriptor.rcut=null: expected a number.",
    "model.descriptor.resnet_dt=maybe": "expected true or false.",
    "model.descriptor.sel=2.5": "expected a whole number, a list of whole numbers or auto.",
    "model.descriptor.sel=[40]": "sel=[40]: expected 2 numbers >= 1, one per element",
    "model.descriptor.sel=[1,1]": "too small for small, frame 0 (and 10 more frames): an atom has",
    "model.descriptor.activation_function=tan": "choose from tanh",
    "model.spin=null": "model.spin=null: expected a section",
    "model.spin.use_spin=[Xx]": "use_spin=['Xx']: expected `auto`, 2 bools, or indices or symbols",
    "model.spin.use_spin=[true]": "use_spin=[True]: expected `auto`, 2 bools",
    "model.spin.use_spin=[2]": "use_spin=[2]: expected `auto`, 2 bools, or indices",
    "model.spin.use_spin=[false,false]": "of at least one of ['Ni', 'O']",
    "model.spin.use_spin=null": "expected auto, a list of true/false",
    "model.spin.virtual_len=-0.1": "model.spin.virtual_len=-0.1: expected numbers > 0.",
    "model.spin.virtual_len=0": "virtual_len=0: expected numbers > 0 for all magnetic elements",
    "model.spin.virtual_len=4.0": "not smaller than model.descriptor.rcut=4.0",
    "model.spin.virtual_len=[0.1,0.2,0.3]": "virtual_len has 3 numbers; expected one, or 1 (one per magnetic",
    "model.spin.virtual_len=.nan": "expected a number",
    "model.spin.virtual_len=nan": "expected a number",
    "model.spin.spin_norm=[1,2,3]": "spin_norm has 3 numbers",
    "model.spin.virtual_scale=0.3": "give one way",
    "model.spin.time_reversal=exat": "expected none, augment or exact. Did you mean exact?",
    "model.spin.spin_rotation=exact": "model.spin.spin_rotation=exact: expected none or augment.",
    "model.descriptor.sel=all": "sel=all: expected a whole number, a list of whole numbers or auto.",
    "loss.loss_func=msee": "loss.loss_func=msee: expected mse, mae or huber. Did you mean mse?",
    "loss.start_pref_e=-1": "prefactors must be finite and not negative",
    "loss.start_pref_e=inf": "loss.start_pref_e=inf: expected a number.",
    "optimizer.eps=-1": "The settings of the optimizer are invalid: Invalid epsilon value: -1.",
    "optimizer.betas=[0.9]": "optimizer.betas=[0.9]: expected a list of 2 numbers.",
    "scheduler.start_lr=fast": "scheduler.start_lr=fast: expected a number.",
    "scheduler.stop_lr=1": "expected 0 < stop_lr <= start_lr",
    "scheduler.warmup_steps=4": "warmup_steps=4 must be >= 0 and smaller than trainer.max_steps=4",
    "trainer.max_steps=abc": "trainer.max_steps=abc: expected a whole number >= 0.",
    "trainer.max_steps=1e5": "Write 100000.",
    "trainer.max_steps=-1": "expected a whole number >= 0.",
    "trainer.max_steps=0": "a deepspin model without an exchange term has no coefficients that are fitted",
    "trainer.log_every_n_steps=0": "expected a whole number >= 1.",
    "trainer.val_check_interval=0.5": "expected a whole number >= 1.",
    "trainer.accumulate_grad_batches=0": "expected a whole number >= 1.",
    "trainer.gradient_clip_val=-1": "expected a number > 0, or null",
    "trainer.precision=16": "trainer.precision=16: expected 64-true or 32-true.",
    "trainer.accelerator=foo": "invalid accelerator name",
    "trainer.max_time=soon": "not a valid duration",
    "callbacks.checkpoint.monitor=val/rmse_f": "no such quantity. Did you mean val/rmse_fr?",
    "callbacks.checkpoint.mode=most": "but got most. (While building callbacks.checkpoint.)",
    "resume=": "resume= is empty",
    "resume=5": "resume=5: expected auto, a path or null.",
    "resume=runs/none.ckpt": "runs/none.ckpt: no such file or folder",
    "paths.data_dir=null": "paths.data_dir=null: expected a path.",
}


@pytest.mark.parametrize("argument", VALUES)
def test_wrong_values(refused, argument):
    assert VALUES[argument] in refused(argument)


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="has a GPU")
@pytest.mark.parametrize("argument", ["trainer=gpu", "trainer.accelerator=gpu", "trainer.devices=7"])
def test_a_gpu_that_is_not_there(refused, argument):
    message = refused(argument)
    assert "on this machine" in message
    assert "trainer.accelerator=cpu" in message


def test_graphs_are_a_gpus(refused):
    message = refused("trainer.accelerator=cpu", "trainer.cuda_graph=true")
    assert "does not use a CUDA GPU. Use trainer.cuda_graph=auto" in message


def test_own_frames_without_their_folders(place):
    result = run_here("train.py", "data=npy", f"hydra.run.dir={place / 'run'}", cwd=place)
    message = the_message(result)
    assert "data.train, data.validation have no value, but are needed" in message
    assert "data.train=VALUE data.validation=VALUE" in message
    assert not list(place.iterdir())


@pytest.mark.parametrize(
    "argument",
    [
        "data.batch_size=three",
        "model.descriptor.rcut=-1",
        "model.spin.virtual_len=9",
        "loss.loss_func=foo",
        "scheduler.warmup_steps=100000",
        "trainer.precision=16",
        "trainer.max_time=soon",
        "resume=none.ckpt",
    ],
)
def test_settings_are_checked_before_data_are_made(place, argument):
    data_dir = place.parent / "data"
    the_message(run_here("train.py", argument, f"paths.data_dir={data_dir}", cwd=place))
    assert not data_dir.exists()
    assert not list(place.iterdir())


# ---- the user's own config files ----

OWN_FILES = {
    "typo": (
        "# @package _global_\nmodel:\n  spin:\n    virtual_lenn: null\n",
        ["Unknown setting model.spin.virtual_lenn (in", "typo.yaml)", "Did you mean model.spin.virtual_len?"],
    ),
    "section": (
        "# @package _global_\nmodle:\n  spin:\n    virtual_len: 0.3\n",
        ["Unknown setting modle (in", "section.yaml)", "Did you mean model?"],
    ),
    "option": (
        "# @package _global_\ndefaults:\n  - override /loss: ener_spinn\n",
        ["There is no loss=ener_spinn (requested by the defaults of a config file)", "ener_spin?"],
    ),
    "group": (
        "# @package _global_\ndefaults:\n  - override /losss: ener_spin\n",
        ["Unknown setting losss (in experiment/group)", "Did you mean loss?"],
    ),
    "header": (
        "model:\n  spin:\n    virtual_len: 0.3\n",
        ["must begin with the line `# @package _global_`"],
    ),
    "reference": (
        "# @package _global_\noptimizer:\n  lr: ${scheduler.start}\n",
        ["optimizer.lr (in", "reference.yaml)", "'scheduler.start' not found"],
    ),
    "target": (
        "# @package _global_\noptimizer:\n  _target_: torch.optim.Adamm\n",
        ["there is no Adamm in torch.optim. Did you mean Adam?"],
    ),
    "tab": ("# @package _global_\nmodel:\n\tspin: 3\n", ["not YAML", "tab.yaml", "line 3"]),
}


def own_experiment(folder, name):
    (folder / "experiment").mkdir(parents=True)
    (folder / "experiment" / f"{name}.yaml").write_text(OWN_FILES[name][0])
    return folder


@pytest.mark.parametrize("name", OWN_FILES)
@pytest.mark.parametrize("how", ["--config-dir", "hydra.searchpath"])
def test_own_experiment_files(refused, tmp_path, name, how):
    folder = own_experiment(tmp_path / "own", name)
    flags = (f"--config-dir={folder}",) if how == "--config-dir" else ()
    more = () if flags else (f"hydra.searchpath=[file://{folder}]",)
    message = refused(f"experiment={name}", *more, flags=flags)
    for part in OWN_FILES[name][1]:
        assert part in message


def test_own_options_are_offered(refused, tmp_path):
    folder = own_experiment(tmp_path / "own", "typo")
    message = refused("experiment=typos", flags=(f"--config-dir={folder}",))
    assert f"choose from {', '.join([*EXPERIMENTS, 'typo'])}. Did you mean typo?" in message


# ---- in a process of its own, as a user starts it ----


def real(*arguments, cwd, fresh=False):
    return run_script(*arguments, cwd=cwd, check=False, fresh=fresh)


def test_from_the_shell_unknown_key(refused):
    assert "Did you mean model.spin.virtual_len?" in refused("model.spin.virtual_lenn=0.3", run=real)


def test_from_the_shell_unknown_option(refused):
    assert "Did you mean ener_spin?" in refused("loss=ener_spinn", run=real)


def test_from_the_shell_bad_frames(refused, tmp_path):
    folder = write_npy(tmp_path / "bad", labelled_by_a_potential(5, 3))
    (folder / "set.000" / "spin.npy").unlink()
    assert "spin.npy is missing" in refused(f"data.train=[{folder}]", run=partial(real, fresh=True))


def test_a_sweep_says_which_jobs_were_wrong_and_does_the_others(small_set, place):
    jobs = ["model.spin.virtual_len=9,0.3", "hydra.sweep.dir=sweep"]
    result = run_here("train.py", "-m", *small_set, *jobs, cwd=place)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "(Job 0 of the sweep: " in result.stderr
    assert "Job 1" not in result.stderr
    assert [file.name for file in (place / "sweep" / "0").iterdir()] == ["failure.json"]
    with (place / "sweep" / "sweep.csv").open() as file:
        assert {row["run"]: row["state"] for row in csv.DictReader(file)} == {"0": "failed", "1": "finished"}
    assert (place / "sweep" / "1" / "summary.json").exists()


def test_a_sweep_of_wrong_jobs_leaves_what_they_failed_by(small_set, place):
    """Each says why once, and the table that is printed lies in the folder that it names."""
    result = run_here("train.py", "-m", *small_set, "+typo=1,2", "hydra.sweep.dir=sweep", cwd=place)
    assert result.returncode == 1
    said = result.stderr.splitlines()
    assert [line.split(".")[0] for line in said] == ["Error: Unknown setting typo"] * 2, result.stderr
    with (place / "sweep" / "sweep.csv").open() as file:
        assert {row["run"]: row["state"] for row in csv.DictReader(file)} == {"0": "failed", "1": "failed"}
    for job in ("0", "1"):
        failure = json.loads((place / "sweep" / job / "failure.json").read_text())
        assert failure["message"].startswith("Unknown setting typo")
    assert (place / "sweep" / "report.html").exists()


def test_a_defect_keeps_its_traceback(small_set, place):
    (place / "broken.py").write_text(
        "import pytorch_lightning as pl\n"
        "class Broken(pl.Callback):\n"
        "    def on_train_start(self, trainer, module):\n"
        "        raise ValueError('a defect')\n"
    )
    result = run_script(
        "train.py",
        *small_set,
        "+callbacks.broken._target_=broken.Broken",
        f"hydra.run.dir={place / 'run'}",
        cwd=place,
        check=False,
        PYTHONPATH=str(place),
    )
    assert result.returncode == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert "ValueError: a defect" in result.stderr
