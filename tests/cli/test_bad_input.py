"""Wrong input stops before training with one message: what, where and what to do. Nothing is changed."""

import shutil
from unittest import mock

import numpy as np
import pytest
import torch

from support.cli import run_script
from support.folders import labelled_by_a_potential, write_npy, write_small_set
from support.in_process import run_here, the_message


@pytest.fixture(scope="module", autouse=True)
def without_pictures():
    """Drawing takes longer than the few runs here that succeed."""
    with mock.patch("spinpot.training.run.write_run_pictures"):
        yield


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    return write_small_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def finished(small_set, tmp_path_factory):
    """A run of four steps."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    result = run_here("train.py", *small_set, f"hydra.run.dir={folder}", cwd=folder.parent)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def place(tmp_path):
    """An empty folder where the user stands."""
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture
def refused(small_set, place):
    """The message of a run with wrong arguments, after which nothing is left behind."""

    def refuse(*arguments, run=run_here, flags=()):
        folder = place.parent / "run"
        result = run("train.py", *flags, *small_set, f"hydra.run.dir={folder}", *arguments, cwd=place)
        message = the_message(result)
        assert not folder.exists()
        assert not list(place.iterdir())
        return message

    return refuse


def contents(folder):
    return {file: file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


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
    "experiment=mine": ["There is no experiment=mine; choose from nio_deltaspin"],
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
    "model.descriptor.rcut=-1": "needs 0 <= rcut_smth < rcut",
    "model.descriptor.rcut=null": "model.descriptor.rcut=null: expected a number.",
    "model.descriptor.resnet_dt=maybe": "expected true or false.",
    "model.descriptor.sel=2.5": "expected a whole number, a list of whole numbers or auto.",
    "model.descriptor.sel=[40]": "has 1 numbers; expected one per element, 2",
    "model.descriptor.sel=[1,1]": "too small: in small, frame 0, an atom has",
    "model.descriptor.activation_function=tan": "choose from tanh",
    "model.spin=null": "model.spin=null: expected a section",
    "model.spin.use_spin=[Xx]": "names ['Xx'], which the data do not have",
    "model.spin.use_spin=[true]": "has 1 bools; expected `auto`, 2 bools",
    "model.spin.use_spin=[2]": "index outside the type map",
    "model.spin.use_spin=[false,false]": "makes no element magnetic",
    "model.spin.use_spin=null": "expected auto, a list of true/false",
    "model.spin.virtual_len=-0.1": "model.spin.virtual_len=-0.1 must be positive.",
    "model.spin.virtual_len=0": "must be positive for every magnetic element",
    "model.spin.virtual_len=4.0": "not smaller than model.descriptor.rcut=4.0",
    "model.spin.virtual_len=[0.1,0.2,0.3]": "virtual_len has 3 numbers; expected one, or 1 (one per magnetic",
    "model.spin.virtual_len=.nan": "expected a number",
    "model.spin.virtual_len=nan": "expected a number",
    "model.spin.spin_norm=[1,2,3]": "spin_norm has 3 numbers",
    "model.spin.virtual_scale=0.3": "give one way",
    "loss.loss_func=msee": "loss.loss_func=msee: expected mse, mae or huber. Did you mean mse?",
    "loss.start_pref_e=-1": "prefactors must be finite and not negative",
    "loss.start_pref_e=inf": "loss.start_pref_e=inf: expected a number.",
    "optimizer.lr=-1": "The optimizer refuses its settings: Invalid learning rate: -1.",
    "optimizer.betas=[0.9]": "optimizer.betas=[0.9]: expected a list of 2 numbers.",
    "scheduler.start_lr=fast": "scheduler.start_lr=fast: expected a number.",
    "scheduler.stop_lr=1": "expected 0 < stop_lr <= start_lr",
    "scheduler.warmup_steps=4": "warmup_steps=4 must be >= 0 and smaller than trainer.max_steps=4",
    "trainer.max_steps=abc": "trainer.max_steps=abc: expected a whole number >= 1.",
    "trainer.max_steps=1e5": "Write 100000.",
    "trainer.max_steps=0": "expected a whole number >= 1.",
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
    "resume=runs/none.ckpt": "runs/none.ckpt: no such checkpoint file",
    "paths.data_dir=null": "paths.data_dir=null: expected a path.",
}


@pytest.mark.parametrize("argument", VALUES)
def test_wrong_values(refused, argument):
    assert VALUES[argument] in refused(argument)


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="has a GPU")
@pytest.mark.parametrize("argument", ["trainer=gpu", "trainer.accelerator=gpu", "trainer.devices=7"])
def test_a_gpu_that_is_not_there(refused, argument):
    message = refused(argument)
    assert "PyTorch sees no GPU on this machine" in message
    assert "trainer.accelerator=cpu" in message


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
        ["There is no loss=ener_spinn (which the defaults of a config file ask for)", "ener_spin?"],
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
    assert "choose from nio_deltaspin, typo. Did you mean typo?" in message


# ---- the data ----


def change(array, edit):
    """Spoil one array of a system."""

    def spoil(folder):
        file = folder / "set.000" / f"{array}.npy"
        np.save(file, edit(np.load(file)))

    return spoil


def put(index, value):
    def edit(array):
        array[index] = value
        return array

    return edit


def without(*names):
    def spoil(folder):
        for name in names:
            (folder / name).unlink()

    return spoil


def text(name, content):
    return lambda folder: (folder / name).write_text(content)


EVERY_LABEL = [f"set.000/{name}.npy" for name in ("energy", "force", "force_mag", "virial")]

SPOILT = {
    "no-spin": (without("set.000/spin.npy"), ["bad: spin.npy is missing", "3 numbers per atom in μ_B"]),
    "spin-shape": (
        change("spin", lambda a: a[:, :9]),
        ["bad/set.000/spin.npy: shape (3, 9). Expected (3, 15) or (3, 5, 3)", "type 0", "with zeros"],
    ),
    "counts": (
        change("force", lambda a: a[:2]),
        ["bad/set.000: different numbers of frames", "force 2", "coord 3"],
    ),
    "nan-energy": (change("energy", put((1, 0), np.nan)), ["energy.npy, frame 1: nan"]),
    "inf-force": (
        change("force", put((2, 4), np.inf)),
        ["bad/set.000/force.npy, frame 2, atom 1 (Ni), component y: inf", "Remove these frames"],
    ),
    "nan-force-mag": (change("force_mag", put((0, 0), np.nan)), ["force_mag.npy, frame 0, atom 0"]),
    "nan-virial": (change("virial", put((0, 5), np.nan)), ["virial.npy, frame 0, row 1, column 2: nan"]),
    "nan-spin": (change("spin", put((0, 0), np.nan)), ["spin.npy, frame 0, atom 0"]),
    "nan-coord": (change("coord", put((0, 0), np.nan)), ["coord.npy, frame 0, atom 0"]),
    "type-map": (text("type_map.raw", "Fe\nO\n"), ["holds Fe", "type map lacks: Ni O"]),
    "no-type-map": (without("type_map.raw"), ["bad: type_map.raw is missing", "one element per line"]),
    "short-type-map": (text("type_map.raw", "Ni\n"), ["type_map.raw has 1 names", "type 1 (atom 3)"]),
    "flat-cell": (
        change("box", lambda a: np.tile([4.0, 0, 0, 8.0, 0, 0, 0, 0, 4.0], (3, 1))),
        ["bad/set.000/box.npy, frame 0: the cell", "no volume", "three independent lattice vectors"],
    ),
    "no-cell": (without("set.000/box.npy"), ["box.npy is missing", "9 numbers in Å"]),
    "overlap": (change("coord", put((1, slice(0, 6)), 0.5)), ["coord.npy, frame 1: atoms 0 (Ni) and 1 (Ni)"]),
    "no-frames": (
        lambda folder: [
            change(file.stem, lambda a: a[:0])(folder) for file in (folder / "set.000").iterdir()
        ],
        ["bad/set.000: no frames: coord is empty"],
    ),
    "no-sets": (lambda folder: shutil.rmtree(folder / "set.000"), ["bad: no frames: neither a set.* folder"]),
    "truncated": (
        lambda folder: (folder / "set.000" / "coord.npy").write_bytes(
            (folder / "set.000" / "coord.npy").read_bytes()[:200]
        ),
        ["coord.npy: truncated: 200 bytes"],
    ),
    "pickled": (
        lambda folder: np.save(folder / "set.000" / "spin.npy", np.array([{}, None]), allow_pickle=True),
        ["spin.npy: holds pickled Python objects, which are never loaded"],
    ),
    "no-labels": (
        without(*EVERY_LABEL),
        ["The loss asks for energy, force, force_mag, but the training data have no labels at all", "bad"],
    ),
    "no-label-of-the-loss": (
        without(*EVERY_LABEL[:3]),
        ["but the training data have only virial", "loss.start_pref_v=1"],
    ),
    "no-moments": (change("spin", lambda a: 0 * a), ["every spin in the training data is zero"]),
}


@pytest.mark.parametrize("name", SPOILT)
def test_bad_frames(refused, small_set, tmp_path, name):
    spoil, parts = SPOILT[name]
    folder = write_npy(tmp_path / "bad", labelled_by_a_potential(5, 3))
    spoil(folder)
    with_map = ["data.type_map=[Ni,O]"] if name == "type-map" else []
    message = refused(f"data.train=[{folder}]", *with_map)
    for part in parts:
        assert part in message


def test_bad_frames_of_the_other_sets(refused, tmp_path):
    folder = write_npy(tmp_path / "bad", labelled_by_a_potential(5, 3))
    change("force", put((2, 4), np.nan))(folder)
    for name in ("validation", "test"):
        assert "bad/set.000/force.npy, frame 2" in refused(f"data.{name}={folder}")
    assert "no such folder" in refused("data.test=nowhere")


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
    assert f"{folder} holds config.yaml of a run without a checkpoint" in message
    assert contents(folder) == before
    result = run_here("train.py", *small_set, f"hydra.run.dir={folder}", "resume=auto", cwd=place)
    assert result.returncode == 0


def test_resuming_a_finished_run_does_nothing(small_set, finished, place):
    before = contents(finished)
    for steps in (4, 2):
        arguments = [*small_set, f"trainer.max_steps={steps}", f"hydra.run.dir={finished}", "resume=auto"]
        result = run_here("train.py", *arguments, cwd=place)
        assert result.returncode == 0
        assert "Nothing to do" in result.stdout
        assert "has made 4 steps already" in result.stdout
        assert not result.stderr
    assert contents(finished) == before


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_finished_run_without_its_last_evaluation_gets_it(small_set, finished, tmp_path, place):
    folder = shutil.copytree(finished, tmp_path / "killed")
    (folder / "summary.json").unlink()
    result = run_here("train.py", *small_set, f"hydra.run.dir={folder}", "resume=auto", cwd=place)
    assert result.returncode == 0
    assert (folder / "summary.json").exists()


def test_no_step_left_for_another_run(refused, finished):
    message = refused(f"resume={finished}")
    assert "no step is left to train. Raise trainer.max_steps." in message


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("model.descriptor.neuron=[4,16]", "descriptor.neuron: [4, 8] in the checkpoint, [4, 16] now"),
        ("model.descriptor.rcut=3.5", "descriptor.rcut: 4.0 in the checkpoint, 3.5 now"),
        ("model.spin.virtual_len=0.3", "virtual_scale: [0.31404"),
    ],
)
def test_another_model(refused, finished, change, part):
    message = refused(f"resume={finished}", "trainer.max_steps=6", change)
    assert "holds another model" in message
    assert part in message


def cut(contents):
    return contents[: len(contents) // 2]


def zeroed(contents):
    middle = len(contents) // 2
    return contents[:middle] + bytes(2000) + contents[middle + 2000 :]


@pytest.mark.parametrize("damage", [cut, zeroed, lambda contents: b"", lambda contents: b"hello"])
def test_damaged_checkpoint(refused, finished, tmp_path, damage):
    file = tmp_path / "damaged.ckpt"
    file.write_bytes(damage((finished / "checkpoints" / "last.ckpt").read_bytes()))
    message = refused(f"resume={file}", "trainer.max_steps=6")
    assert f"{file}: not a readable checkpoint" in message


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
    assert f"The last good checkpoint is kept: {last}." in message
    stored = torch.load(last, weights_only=True)
    assert stored["global_step"] == 1
    assert all(torch.isfinite(value).all() for value in stored["state_dict"].values())
    assert not (folder / "summary.json").exists()


def test_a_run_that_diverges_before_its_first_checkpoint(small_set, place):
    folder = place.parent / "run"
    arguments = [*small_set, *DIVERGES, "trainer.val_check_interval=30", f"hydra.run.dir={folder}"]
    message = the_message(run_here("train.py", *arguments, cwd=place))
    assert "There was no checkpoint yet." in message


# ---- in a process of its own, as a user starts it ----


def real(*arguments, cwd):
    return run_script(*arguments, cwd=cwd, check=False)


def test_from_the_shell_unknown_key(refused):
    assert "Did you mean model.spin.virtual_len?" in refused("model.spin.virtual_lenn=0.3", run=real)


def test_from_the_shell_unknown_option(refused):
    assert "Did you mean ener_spin?" in refused("loss=ener_spinn", run=real)


def test_from_the_shell_own_file(refused, tmp_path):
    folder = own_experiment(tmp_path / "own", "typo")
    message = refused("experiment=typo", flags=(f"--config-dir={folder}",), run=real)
    assert "experiment/typo.yaml" in message


def test_from_the_shell_bad_frames(refused, tmp_path):
    folder = write_npy(tmp_path / "bad", labelled_by_a_potential(5, 3))
    (folder / "set.000" / "spin.npy").unlink()
    assert "spin.npy is missing" in refused(f"data.train=[{folder}]", run=real)


def test_from_the_shell_truncated_checkpoint(refused, finished, tmp_path):
    file = tmp_path / "cut.ckpt"
    file.write_bytes(cut((finished / "checkpoints" / "last.ckpt").read_bytes()))
    assert "not a readable checkpoint" in refused(f"resume={file}", "trainer.max_steps=6", run=real)


def test_a_sweep_says_which_jobs_were_wrong_and_does_the_others(small_set, place):
    jobs = ["model.spin.virtual_len=9,0.3", "hydra.sweep.dir=sweep"]
    result = run_here("train.py", "-m", *small_set, *jobs, cwd=place)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "(Job 0 of the sweep: " in result.stderr
    assert "Job 1" not in result.stderr
    assert not (place / "sweep" / "0").exists()
    assert (place / "sweep" / "1" / "summary.json").exists()


def test_a_sweep_of_wrong_jobs_leaves_nothing(small_set, place):
    result = run_here("train.py", "-m", *small_set, "+typo=1,2", "hydra.sweep.dir=sweep", cwd=place)
    assert result.returncode == 1
    assert result.stderr.count("Unknown setting typo") == 2
    assert not list(place.iterdir())


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
