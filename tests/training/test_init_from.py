"""Starting from another run's model, or from one of deepmd-kit."""

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from spinpot.core.errors import InputError
from spinpot.models.checkpoint import save_potential
from spinpot.models.deepspin.deepmd.dp_file import write_dp
from spinpot.models.deepspin.deepmd.potentials import tree_of
from spinpot.models.deepspin.potential import DeepSpin
from spinpot.models.deepspin.settings import DescriptorSettings, FittingSettings
from spinpot.models.deepspin.spec import DeepSpinSpec
from spinpot.training.run import train
from support.checkpoints import load_potential
from support.configs import composed
from support.folders import labelled_by_a_potential, write_npy
from support.frames import evaluate, random_system, small_potential, system


@pytest.fixture
def data(tmp_path):
    """Overrides for frames labelled by small_potential(seed=99), their energies shifted per element."""
    for name, seed in (("train", 1), ("validation", 2)):
        made = labelled_by_a_potential(seed, 4)
        shift = np.array([0.7, -0.3])[made.types].sum()
        labels = {key: getattr(made, key) for key in ("force", "force_mag", "virial")}
        shifted = system(
            made.type_map, made.types, made.box, made.coord, made.spin, energy=made.energy + shift, **labels
        )
        write_npy(tmp_path / name, shifted)
    # Another composition, so that the two elements' energies can be told apart.
    more = labelled_by_a_potential(3, 3, n_ni=2, n_o=4)
    shift = np.array([0.7, -0.3])[more.types].sum()
    write_npy(
        tmp_path / "more",
        system(more.type_map, more.types, more.box, more.coord, more.spin, energy=more.energy + shift),
    )
    folders = f"data.train=[{tmp_path}/train,{tmp_path}/more]", f"data.validation=[{tmp_path}/validation]"
    return ["data=npy", *folders, "debug=fast", "report=false"]


def run(tmp_path, *arguments, name="run"):
    config = composed(*arguments, "trainer.enable_progress_bar=false")
    train(config, tmp_path / name)
    return load_potential(tmp_path / name / "checkpoints" / "last.ckpt")


@pytest.mark.parametrize("suffix", [".ckpt", ".dp"])
def test_weights_and_model_are_the_files(suffix, data, tmp_path, capsys):
    source, frames = small_potential(seed=99), random_system(7)
    path = tmp_path / f"x{suffix}"
    save_potential(path, source) if suffix == ".ckpt" else write_dp(path, tree_of(source))
    made = run(tmp_path, *data, f"init_from={path}", "scheduler.start_lr=1e-30", "scheduler.stop_lr=1e-30")
    made.descriptor.radial = source.descriptor.radial = "direct"
    for key, values in evaluate(source, frames).items():
        np.testing.assert_allclose(evaluate(made, frames)[key], values, rtol=1e-12, atol=1e-14)
    said = " ".join(capsys.readouterr().out.split())
    assert "do not count" in said
    assert "model.descriptor.rcut" in said
    config = (tmp_path / "run" / "config.yaml").read_text()
    assert "sel: [60, 60]" in config or "- 60" in config


def test_one_composition_does_not_tell_the_elements_apart(data, tmp_path, capsys):
    save_potential(tmp_path / "x.ckpt", small_potential(seed=99))
    refit = [f"init_from={tmp_path / 'x.ckpt'}", "init_from_bias=refit"]
    run(tmp_path, *data, *refit, name="two")
    assert "linearly dependent" not in capsys.readouterr().out
    run(tmp_path, *data, *refit, f"data.train=[{tmp_path}/train]", name="one")
    assert (
        "The training compositions are linearly dependent, so the energy bias per element is not unique; the "
        "minimum-norm solution was used (total energies are unaffected)."
    ) in capsys.readouterr().out


def test_time_reversal_is_the_files(data, tmp_path):
    path = tmp_path / "x.ckpt"
    save_potential(path, small_potential(seed=99, time_reversal=True))
    assert run(tmp_path, *data, f"init_from={path}", "trainer.max_steps=2").spec.time_reversal
    assert "time_reversal: exact" in (tmp_path / "run" / "config.yaml").read_text()
    save_potential(path, small_potential(seed=99))
    with pytest.raises(InputError, match="time_reversal=exact, which the model in the file does not have"):
        run(tmp_path, *data, f"init_from={path}", "model.spin.time_reversal=exact", name="other")
    assert not (tmp_path / "other" / "config.yaml").exists()


def test_the_bias_is_refitted(data, tmp_path):
    source = small_potential(seed=99)
    save_potential(tmp_path / "x.ckpt", source)
    still = ["scheduler.start_lr=1e-30", "scheduler.stop_lr=1e-30", f"init_from={tmp_path / 'x.ckpt'}"]
    kept = run(tmp_path, *data, *still, name="kept")
    refitted = run(tmp_path, *data, *still, "init_from_bias=refit", name="refitted")
    np.testing.assert_array_equal(kept.energy_bias, source.energy_bias)
    np.testing.assert_allclose(refitted.energy_bias - source.energy_bias, [0.7, -0.3], atol=1e-9)


def test_another_zero_of_the_energy_is_said_before_the_first_step(data, tmp_path, capsys):
    save_potential(tmp_path / "x.ckpt", small_potential(seed=99))
    begin = [*data, f"init_from={tmp_path / 'x.ckpt'}"]
    run(tmp_path, *begin, "init_from_bias=refit", name="refitted")
    assert "look: init_from" not in capsys.readouterr().out
    # 3 Ni + 2 O in 4 frames, 2 Ni + 4 O in 3; the model is exact but for the shifts.
    shifts = np.array([(3 * 0.7 - 2 * 0.3) / 5] * 4 + [(2 * 0.7 - 4 * 0.3) / 6] * 3)
    run(tmp_path, *begin)
    said = capsys.readouterr().out
    rmse = 1000 * np.sqrt(np.square(shifts).mean())
    line = (
        f"look: init_from: the energies of the training data are on average {shifts.mean():.4g} eV/atom "
        f"above the model's (rmse {rmse:.4g} meV/atom; after a fit by composition "
    )
    assert line in said
    assert (
        "). If they have another zero, init_from_bias=refit fits the model's energy bias to them.\n" in said
    )
    assert said.index(line) < said.index("step      ")


def test_the_same_zero_of_the_energy_needs_no_line(tmp_path, capsys):
    for name, seed in (("train", 1), ("validation", 2)):
        write_npy(tmp_path / name, labelled_by_a_potential(seed, 4))
    folders = [f"data.train=[{tmp_path}/train]", f"data.validation=[{tmp_path}/validation]"]
    save_potential(tmp_path / "x.ckpt", small_potential(seed=99))
    run(tmp_path, "data=npy", *folders, "debug=fast", "report=false", f"init_from={tmp_path / 'x.ckpt'}")
    assert "look: init_from" not in capsys.readouterr().out


def test_types_are_mapped_by_name(data, tmp_path):
    source, frames = small_potential(seed=99), random_system(7)
    save_potential(tmp_path / "x.ckpt", source)
    still = ["scheduler.start_lr=1e-30", "scheduler.stop_lr=1e-30"]
    made = run(tmp_path, *data, *still, f"init_from={tmp_path / 'x.ckpt'}", "data.type_map=[O,Ni]")
    assert made.spec.type_map == ("O", "Ni")
    assert made.spec.use_spin == (False, True)
    made.descriptor.radial = source.descriptor.radial = "direct"
    swapped = system(("O", "Ni"), 1 - frames.types, frames.box, frames.coord, frames.spin)
    np.testing.assert_allclose(
        evaluate(made, swapped)["force"], evaluate(source, frames)["force"], atol=1e-13
    )


def test_it_learns_and_resumes(data, tmp_path):
    save_potential(tmp_path / "x.ckpt", small_potential(seed=3))
    begin = [*data, f"init_from={tmp_path / 'x.ckpt'}"]
    run(tmp_path, *begin, "trainer.max_steps=4", "scheduler.decay_steps=2")
    (tmp_path / "x.ckpt").unlink()  # the run has all it needs
    run(tmp_path, *begin, "trainer.max_steps=8", "scheduler.decay_steps=2", "resume=auto")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["steps"] == 8


def test_unknown_elements(data, tmp_path):
    save_potential(tmp_path / "x.ckpt", small_potential())
    with pytest.raises(InputError, match="has no element Fe"):
        run(tmp_path, *data, f"init_from={tmp_path / 'x.ckpt'}", "data.type_map=[Ni,O,Fe]")


def test_more_neighbours_than_the_model_has_room_for(data, tmp_path):
    save_potential(tmp_path / "x.ckpt", small_potential(sel=(3, 3)))
    with pytest.raises(InputError, match=r"init_from=.*do not fit the model in the file"):
        run(tmp_path, *data, f"init_from={tmp_path / 'x.ckpt'}")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("one_side", [True, False])
@pytest.mark.parametrize("order", list(permutations(range(3)))[1:])
def test_reordered_is_the_same_function(order, one_side):
    rng = np.random.default_rng(3)
    names = ("Fe", "O", "Co")
    descriptor = DescriptorSettings(
        rcut=3.5,
        sel=(20, 21, 22),
        neuron=(4, 8),
        axis_neuron=3,
        type_one_side=one_side,
        radial="direct",
        exclude_types=((0, 2), (1, 5)),
    )
    spec = DeepSpinSpec(
        type_map=names,
        descriptor=descriptor,
        fitting_net=FittingSettings((6, 6)),
        use_spin=(True, False, True),
        virtual_scale=(0.3, 0.0, 0.2),
    )
    potential = DeepSpin(spec, seed=4)
    potential.descriptor.davg[:, 0] = potential.descriptor.davg.new_tensor([0.01, 0.02, 0.03])
    potential.descriptor.dstd[:] = 0.1
    potential.energy_bias[:] = potential.energy_bias.new_tensor([-1.0, -2.0, -3.0])
    types = np.array([0, 1, 2, 0, 1, 2])
    coord = rng.uniform(0.0, 5.0, (6, 3)) + 6.0 * np.arange(6)[:, None] * np.array([0.3, 0.1, 0.2])
    spin = rng.normal(size=(6, 3))
    frames = system(names, types, 7.0 * np.eye(3), coord, spin)
    other = tuple(names[t] for t in order)
    renamed = np.array([other.index(names[t]) for t in types])
    twin = potential.reordered(other)
    assert twin.spec.type_map == other
    theirs = evaluate(twin, system(other, renamed, 7.0 * np.eye(3), coord, spin))
    for key, values in evaluate(potential, frames).items():
        np.testing.assert_allclose(theirs[key], values, rtol=1e-12, atol=1e-13)


def test_the_file_is_there(data, tmp_path):
    with pytest.raises(InputError, match="no such"):
        run(tmp_path, *data, f"init_from={Path('absent.ckpt')}")
