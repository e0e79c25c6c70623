"""Model deviation: deepmd-kit's definitions, in the columns that DP-GEN reads."""

from dataclasses import replace

import numpy as np
import pytest

from spinpot.core.errors import InputError
from spinpot.evaluation.deviation import COLUMNS, deviations, model_deviation
from spinpot.evaluation.evaluate import evaluate
from spinpot.models.deepspin.potential import DeepSpin
from support.checkpoints import write_checkpoint
from support.folders import write_npy
from support.frames import random_system, small_potential
from support.in_process import run_here, the_message


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("place")
    for seed in (1, 2, 3):
        write_checkpoint(place / f"{seed}.ckpt", small_potential(seed=seed, radial="direct"))
    write_npy(place / "a", random_system(4, n_frames=3))
    write_npy(place / "b", random_system(5, n_frames=2, n_ni=2, n_o=4))
    return place


ARGUMENTS = ("checkpoint=[1.ckpt,2.ckpt,3.ckpt]", "systems=[a,b]")


@pytest.fixture(scope="module")
def table(place):
    result = run_here("evaluate.py", *ARGUMENTS, "output=out", cwd=place)
    assert result.returncode == 0, result.stderr
    assert "Deviation of 3 models on 5 frames" in result.stdout
    return np.loadtxt(place / "out" / "model_devi.out")


def test_columns(place, table):
    header = (place / "out" / "model_devi.out").read_text().splitlines()[0]
    assert header.split() == ["#", "step", *COLUMNS]
    assert COLUMNS[:6] == ("max_devi_v", "min_devi_v", "avg_devi_v", "max_devi_f", "min_devi_f", "avg_devi_f")
    assert table.shape == (5, 10)
    np.testing.assert_array_equal(table[:, 0], range(5))
    assert [file.name for file in (place / "out").iterdir()] == ["model_devi.out"]


def test_models_with_spins_of_other_elements_are_refused(place, tmp_path):
    spec = replace(small_potential().spec, use_spin=(True, True), virtual_scale=(0.3, 0.3))
    write_checkpoint(tmp_path / "both.ckpt", DeepSpin(spec))
    arguments = [f"checkpoint=[{place}/1.ckpt,both.ckpt]", f"systems=[{place}/a]", "output=out"]
    message = the_message(run_here("evaluate.py", *arguments, cwd=tmp_path))
    assert "both.ckpt has spins of Ni O" in message
    assert "1.ckpt has spins of Ni." in message
    assert not (tmp_path / "out").exists()


def test_numbers_are_those_of_the_single_evaluations(place, table, tmp_path):
    singles = []
    for seed in (1, 2, 3):
        evaluate(place / f"{seed}.ckpt", [str(place / "a"), str(place / "b")], tmp_path / str(seed))
        singles.append({name: np.load(tmp_path / str(seed) / f"{name}.npz") for name in "ab"})
    frame = 0
    for name, n_ni in (("a", 3), ("b", 2)):
        for k in range(len(singles[0][name]["energy"])):
            forces = np.array([single[name]["force"][k] for single in singles])
            fields = np.array([single[name]["force_mag"][k] for single in singles])[:, :n_ni]
            virials = np.array([single[name]["virial"][k] for single in singles]) / forces.shape[1]
            expected = [virials.std(0).max(), virials.std(0).min(), np.sqrt(virials.var(0).mean())]
            for vectors in (forces, fields):
                each = [np.sqrt(vectors[:, i].var(0).sum()) for i in range(vectors.shape[1])]
                expected += [max(each), min(each), np.mean(each)]
            np.testing.assert_allclose(table[frame, 1:], expected, rtol=2e-6)
            frame += 1


def test_equal_models_do_not_deviate(place, tmp_path):
    found = model_deviation([place / "1.ckpt"] * 2, [str(place / "a")], tmp_path / "out")
    np.testing.assert_array_equal(found, 0.0)


def test_without_magnetic_atoms():
    arrays = {"force": np.ones((2, 3, 3)), "force_mag": np.zeros((2, 3, 3)), "virial": np.ones((2, 3, 3))}
    other = {name: 2.0 * values for name, values in arrays.items()}
    found = deviations([arrays, other], np.zeros(3, dtype=bool))
    np.testing.assert_array_equal(found[:, 6:], 0.0)
    np.testing.assert_allclose(found[:, 3], np.sqrt(0.75))


def test_nothing_is_overwritten(place, table):
    message = the_message(run_here("evaluate.py", *ARGUMENTS, "output=out", cwd=place))
    assert "model_devi.out is there already" in message


def test_models_of_other_elements(place, tmp_path):
    from spinpot.models.deepspin.potential import DeepSpin
    from spinpot.models.deepspin.settings import DescriptorSettings, FittingSettings
    from spinpot.models.deepspin.spec import DeepSpinSpec

    spec = DeepSpinSpec(
        type_map=("Fe",),
        descriptor=DescriptorSettings(sel=(9,)),
        fitting_net=FittingSettings((4,)),
        use_spin=(True,),
        virtual_scale=(0.3,),
    )
    write_checkpoint(tmp_path / "iron.ckpt", DeepSpin(spec))
    with pytest.raises(InputError, match="does not know"):
        model_deviation([place / "1.ckpt", tmp_path / "iron.ckpt"], [str(place / "a")], tmp_path / "out")
    assert not (tmp_path / "out").exists()
