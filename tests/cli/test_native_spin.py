"""model=native_spin in the real commands: runs, runs that start from them, and their errors."""

import csv
import json
import warnings

import numpy as np
import pytest
import torch

import spinpot
from spinpot.ase import SpinCalculator
from spinpot.models.checkpoint import save_potential
from support.folders import write_small_set
from support.frames import atoms_of, random_system, small_potential
from support.html import Page
from support.in_process import run_here, the_message

AT_THE_END = ("energy_bias", "expected_errors.noise")  # fitted again then
NO_CHANNELS = "model.descriptor.channels=null"
CONSTANT = ("scheduler.start_lr=1e-3", "scheduler.stop_lr=1e-3")


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    return write_small_set(tmp_path_factory.mktemp("data"), "native_spin")


@pytest.fixture(scope="module")
def place(small_set, tmp_path_factory):
    """Where a run of four steps is."""
    folder = tmp_path_factory.mktemp("runs")
    trained(folder, "run", *small_set, *CONSTANT, "report=true")
    return folder


def trained(place, name, *arguments):
    """What the command says, of a run in a folder of its own."""
    result = run_here("train.py", *arguments, f"hydra.run.dir={place / name}", cwd=place)
    assert result.returncode == 0, result.stderr
    return " ".join(result.stdout.split())


def done(script, *arguments, cwd):
    result = run_here(script, *arguments, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return result.stdout


def weights(run):
    contents = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    return {name.removeprefix("potential."): value for name, value in contents["state_dict"].items()}


def test_page_and_summary(place):
    summary = json.loads((place / "run/summary.json").read_text())
    assert summary["model"]["kind"] == "native_spin"
    nets = [value.numel() for name, value in weights(place / "run").items() if name.startswith("nets.")]
    assert summary["model"]["parameters"] == sum(nets)
    text = Page.of(place / "run/report.html").text
    for fact in ("density, angle, length", "fixed after least squares", "neuron 8–8, one net per element"):
        assert fact in text


def test_a_checkpoint_holds_all_channels(place):
    """Those that the config leaves to the program may be others tomorrow."""
    stored = torch.load(place / "run/checkpoints/last.ckpt", weights_only=True)["spinpot"]["model"]
    assert stored["descriptor"]["channels"] == {
        "density": 3,
        "direction": 3,
        "moment": 3,
        "moment_square": 3,
    }


def test_more_steps_are_as_if_there_were_no_end_between(place, small_set):
    """The energy bias, fitted again at the end, begins the next steps as it was before."""
    half = (*small_set, *CONSTANT)
    trained(place, "half", *half, "trainer.max_steps=2")
    trained(place, "half", *half, "resume=auto")
    one, other = (weights(place / name) for name in ("half", "run"))
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@pytest.mark.parametrize("settings", [[], ["data.batch_size=1", "trainer.accumulate_grad_batches=2"]])
def test_free_weights_are_trained(place, small_set, settings, request):
    name = f"free{len(settings)}"
    trained(place, name, *small_set, "model.linear=free", "callbacks=gradient_norms", *settings)
    assert weights(place / name)["linear"].any()
    with (place / name / "metrics.csv").open() as file:
        columns = set(next(csv.reader(file)))
    assert {"grad_norm/total", "grad_norm/linear_Ni", "grad_norm/net_O"} <= columns


def test_nothing_to_train(place, small_set):
    given = (*small_set, "model.fitting_net.neuron=[]", f"hydra.run.dir={place / 'none'}")
    message = the_message(run_here("train.py", *given, cwd=place))
    assert message.startswith("trainer.max_steps=4, but this model has no parameters to train")
    assert not (place / "none").exists()


def test_the_average_leaves_statistics_as_they_are(place, small_set):
    """Averaging integers rounds them down: at 0.9 a 3 becomes a 2."""
    trained(place, "ema", *small_set, *CONSTANT, "callbacks=ema", "callbacks.ema.decay=0.9")
    averaged, last = weights(place / "ema"), weights(place / "run")
    for name, value in averaged.items():
        assert torch.equal(value, last[name]) != name.startswith(("nets", "linear", *AT_THE_END)), name
    torch.testing.assert_close(averaged["linear"], last["linear"], rtol=1e-14, atol=0)
    # What validation measured with the averaged weights in place is what the file gives.
    with (place / "ema/metrics.csv").open() as file:
        *_, row = csv.DictReader(file)
    done(
        "evaluate.py",
        "checkpoint=ema/checkpoints/last.ckpt",
        *systems(small_set),
        "output=averaged",
        cwd=place,
    )
    found = json.loads((place / "averaged/evaluation.json").read_text())
    for name in ("rmse_e", "rmse_fr", "rmse_fm"):
        assert found[name] == pytest.approx(float(row[f"val/{name}"]), rel=1e-10)


def systems(small_set):
    (validation,) = (given for given in small_set if given.startswith("data.validation="))
    return [validation.replace("data.validation", "systems")]


def test_nets_in_single_precision(place, small_set):
    trained(place, "single", *small_set, *CONSTANT, "trainer.precision=32-true")
    single = weights(place / "single")
    kinds = {name: value.dtype for name, value in single.items()}
    assert all((kind == torch.float32) == name.startswith("nets.") for name, kind in kinds.items())
    double = weights(place / "run")
    for name, value in single.items():
        assert torch.equal(value, double[name]) != name.startswith(("nets", *AT_THE_END)), name
    frames = random_system(3)
    found, double = (spinpot.load(place / name)(frames) for name in ("single", "run"))
    np.testing.assert_allclose(found["force"], double["force"], atol=1e-3 * np.abs(double["force"]).max())


def test_another_run_begins_with_it(place, small_set):
    """In another order of the elements; whether weights are free is the new run's to say."""
    still = ("scheduler.start_lr=1e-30", "scheduler.stop_lr=1e-30")
    more = ("data.type_map=[O,Ni]", "model.linear=free", "model.descriptor.cutoff=5.0")
    said = trained(place, "begun", *small_set, *still, *more, "init_from=run")
    assert "model.descriptor.cutoff │ 5.0 │ 4.0" in said
    first, second = (spinpot.load(place / name) for name in ("run", "begun"))
    assert second.spec.type_map == ("O", "Ni")
    assert second.spec.linear == "free"
    frames = random_system(3)
    for name, values in first(frames).items():
        np.testing.assert_allclose(second(frames)[name], values, rtol=1e-10, atol=1e-10)


def test_a_run_does_not_begin_with_another_kind(place, small_set):
    save_potential(place / "deepspin.ckpt", small_potential())
    given = (*small_set, "init_from=deepspin.ckpt", f"hydra.run.dir={place / 'other'}")
    message = the_message(run_here("train.py", *given, cwd=place))
    assert "the file holds a model of kind deepspin, but the config asks for kind native_spin" in message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["model.spin.time_reversal=exact"], "all invariants are even in the spins"),
        (["model.spin.time_reversal=augment"], "all invariants are even in the spins"),
        (["model.spin.spin_rotation=augment"], "models without spin-orbit groups always have this symmetry"),
        (
            [
                "model.spin.spin_rotation=augment",
                "model.descriptor.groups=[exchange,anisotropy]",
                NO_CHANNELS,
            ],
            "anisotropy of model.descriptor.groups change when all spins rotate",
        ),
    ],
    ids=str,
)
def test_symmetries_that_hold_anyway_cannot_be_asked_for(place, small_set, settings, message):
    result = run_here("train.py", *small_set, *settings, f"hydra.run.dir={place / 'refused'}", cwd=place)
    assert message in the_message(result)


@pytest.mark.parametrize("terms", ["heisenberg", "full"])
def test_the_exchange_term_under_it(place, small_set, terms):
    said = trained(place, terms, *small_set, f"model/exchange={terms}")
    assert "Fitted by least squares, before training" in said
    predictor = spinpot.load(place / terms / "checkpoints" / "last.ckpt")
    assert ("spin_rotation" in predictor.spec.symmetries) == (terms == "heisenberg")
    assert predictor.potential.exchange.amplitudes.any()
    result = run_here("convert.py", terms, "x.dp", cwd=place)
    assert "deepmd-kit has no native-spin model" in the_message(result)


@pytest.mark.parametrize("suffix", [".dp", ".pth"])
def test_deepmd_kit_has_no_such_model(place, suffix):
    result = run_here("convert.py", "run", f"x{suffix}", cwd=place)
    assert "deepmd-kit has no native-spin model, so its formats cannot hold this one" in the_message(result)
    assert not (place / f"x{suffix}").exists()


def test_it_evaluates(place, small_set):
    said = done("evaluate.py", "checkpoint=run", *systems(small_set), "output=errors", cwd=place)
    assert said.count("built into the model, so only rounding errors remain.") == 3
    found = json.loads((place / "errors/evaluation.json").read_text())
    assert all(value < 1e-12 for changes in found["symmetry"].values() for value in changes.values())
    assert Page.of(place / "errors/report.html").text.count("built into the model") == 3
    checkpoints = "checkpoint=[run,run/checkpoints/last.ckpt]"
    done("evaluate.py", checkpoints, *systems(small_set), "output=deviation", cwd=place)
    assert np.loadtxt(place / "deviation/model_devi.out").shape == (5, 10)


def test_moments_near_zero_are_no_trouble(place, small_set):
    """The energy is smooth there. What leaves the training range is said."""
    frames = random_system(3)
    predictor = spinpot.load(place / "run")
    assert not list(predictor.spec.ill_posed(predictor.potential.facts, [frames]))
    frames.spin[:, 0] *= 10.0
    frames.coord[:, 0] = frames.coord[:, 1] + [1.0, 0.0, 0.0]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        predictor(frames)
    lines = [str(one.message) for one in said]
    assert any("|S| of Ni leaves the training range" in line for line in lines)
    assert any("atoms 1 Å apart in random3, frame 0, closer than the centre" in line for line in lines)
    assert not any("near zero" in line for line in lines)


def test_it_runs_in_ase(place):
    frames = random_system(3)
    predicted = spinpot.load(place / "run")(frames)
    atoms = atoms_of(frames)
    atoms.calc = SpinCalculator(place / "run")
    np.testing.assert_allclose(atoms.get_potential_energy(), predicted["energy"][0], rtol=1e-12)
    np.testing.assert_allclose(atoms.get_forces(), predicted["force"][0], atol=1e-12)
    np.testing.assert_allclose(atoms.calc.results["magnetic_forces"], predicted["force_mag"][0], atol=1e-12)


def test_it_is_analyzed(place, small_set):
    structure = systems(small_set)[0].split("=")[1].strip("[]")
    tasks = "task=[exchange,magnons,spiral,rotation,relax,dynamics]"
    short = (
        *(
            "task.rotation.points=4",
            "task.spiral.steps=1",
            "task.relax.steps=3",
            "task.dynamics.timestep=0.5",
        ),
        *("task.dynamics.temperatures=[50]", "task.dynamics.equilibrate=0.01", "task.dynamics.average=0.01"),
        *("task.dynamics.conserve=0.01", "task.dynamics.repeat=[2,1,1]"),
    )
    done(
        "analyze.py", "checkpoint=run", f"structure={structure}@1", tasks, *short, "output=physics", cwd=place
    )
    text = Page.of(place / "physics/report.html").text
    assert all(
        title in text for title in ("Exchange", "Energies at the special points", "Order against temperature")
    )


@pytest.mark.slow
def test_it_sweeps(place, small_set):
    swept = ("model.descriptor.cutoff=3.5,4.0", "loss.limit_pref_e=1,3")
    own = [given for given in small_set if "cutoff" not in given]
    done("train.py", "-m", *own, *swept, "trainer.max_steps=2", "hydra.sweep.dir=sweep", cwd=place)
    header = (place / "sweep/sweep.csv").read_text().splitlines()[0]
    assert header.startswith("run,model.descriptor.cutoff,loss.limit_pref_e,score")
    assert "cutoff" in Page.of(place / "sweep/report.html").text
