"""deepmd-kit itself uses models written by spinpot, and spinpot uses models trained by deepmd-kit."""

import json

import numpy as np
import pytest

import spinpot
from spinpot.data.batch import collate
from spinpot.data.dataset import make_frames
from spinpot.data.systems import read_systems
from spinpot.evaluation.predictor import Predictor
from spinpot.models.deepspin.deepmd.dp_file import write_dp
from spinpot.models.deepspin.deepmd.potentials import read_deepmd, tree_of
from spinpot.training.trainer import build
from support.cli import run_script
from support.configs import composed
from support.deepmd_input import small_input
from support.folders import labelled_by_a_potential, write_npy
from support.frames import random_system, small_potential
from support.losses import loss_and_terms


def agree(theirs, ours, names=("energy", "force", "force_mag", "virial", "atom_energy")):
    for name in names:
        scale = np.abs(ours[name]).max()
        np.testing.assert_allclose(theirs[name], ours[name], rtol=1e-9, atol=1e-10 * scale, err_msg=name)


@pytest.mark.parametrize(
    "settings", [{}, {"type_one_side": True, "resnet_dt": True, "exclude_types": ((0, 1),)}]
)
def test_what_spinpot_writes(settings, deepmd, peer_numbers, tmp_path):
    potential = small_potential(radial="direct", **settings)
    write_dp(tmp_path / "x.dp", tree_of(potential))
    run_script("convert.py", "x.dp", "x.pth", "--deepmd", deepmd, cwd=tmp_path)
    frames = random_system(3, n_frames=2)
    agree(
        peer_numbers(tmp_path / "x.pth", frames, tmp_path),
        Predictor(potential)(frames),
    )


@pytest.fixture(scope="module")
def trained_there(deepmd, run_peer, tmp_path_factory):
    """A folder where `dp train` and `dp freeze` have run."""
    folder = tmp_path_factory.mktemp("there")
    for name, seed in (("train", 1), ("validation", 2)):
        write_npy(folder / name, labelled_by_a_potential(seed, 4))
    (folder / "input.json").write_text(json.dumps(small_input(20)))
    run_peer("dp", "--pt", "train", "input.json", cwd=folder)
    run_peer("dp", "--pt", "freeze", "-o", "frozen.pth", cwd=folder)
    return folder


@pytest.mark.parametrize("file", ["frozen.pth", "model.ckpt.pt"])
def test_what_it_trained(file, trained_there, peer_numbers, tmp_path):
    frames = random_system(5, n_frames=2)
    theirs = peer_numbers(trained_there / "frozen.pth", frames, tmp_path)
    agree(theirs, spinpot.load(trained_there / file)(frames))


def test_its_loss_at_its_parameters(trained_there, peer_numbers, tmp_path):
    """The converted input's loss, of the converted model, is deepmd-kit's own."""
    (tmp_path / "experiment").mkdir()
    run_script("convert.py", str(trained_there / "input.json"), str(tmp_path / "experiment" / "made.yaml"))
    config = composed(f"hydra.searchpath=[file://{tmp_path}]", "experiment=made")
    predictor = spinpot.load(trained_there / "model.ckpt.pt")
    (frames,) = read_systems([config.data.train[0]], list(config.data.type_map))
    theirs = peer_numbers(trained_there / "frozen.pth", frames, tmp_path, trained_there / "input.json")
    batch = collate(list(make_frames([frames])), predictor.geometry)
    loss, magnetic = build(config.loss), batch.types.new_tensor([1, 0]).bool()
    ours = [
        float(loss_and_terms(loss, predictor.potential(batch), batch, magnetic, ratio)[0])
        for ratio in (1.0, 0.01)
    ]
    print("\nloss: deepmd-kit", theirs["loss"], "spinpot", ours)
    np.testing.assert_allclose(ours, theirs["loss"], rtol=1e-9)


def test_the_converted_input_trains_from_its_model(trained_there, tmp_path):
    run_script("convert.py", str(trained_there / "frozen.pth"), str(tmp_path / "there.ckpt"))
    (tmp_path / "experiment").mkdir()
    run_script("convert.py", str(trained_there / "input.json"), str(tmp_path / "experiment" / "made.yaml"))
    run_script(
        "train.py",
        "--config-dir",
        str(tmp_path),
        "experiment=made",
        "init_from=there.ckpt",
        "init_from_bias=refit",
        "hydra.run.dir=run",
        "trainer.enable_progress_bar=false",
        cwd=tmp_path,
    )
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["steps"] == 20


def test_round_trip_by_its_own_converter(trained_there, run_peer, tmp_path):
    """A portable file that spinpot wrote is the one deepmd-kit makes of the same model again."""
    model = read_deepmd(trained_there / "frozen.pth")
    write_dp(tmp_path / "ours.dp", tree_of(model.potential, model.rest))
    run_peer("dp", "convert-backend", tmp_path / "ours.dp", tmp_path / "back.pth", cwd=tmp_path)
    again = read_deepmd(tmp_path / "back.pth").potential
    for name, values in model.potential.state_dict().items():
        np.testing.assert_array_equal(values, again.state_dict()[name])
