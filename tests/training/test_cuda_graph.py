"""Whole steps, launched kernel by kernel, or recorded as CUDA graphs on a GPU."""

import copy
import json
import math
from dataclasses import replace

import pytest
import torch

from spinpot.core.errors import TrainingError
from spinpot.data.dataset import FrameDataset
from spinpot.data.resident import PaddedBatch, ResidentFrames, StreamedFrames
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.loss.label_scale import LabelScale
from spinpot.training.cuda_graph import LoadedStep, RecordedSteps, learning_rates
from spinpot.training.optimizers import Adam, Muon
from spinpot.training.step import Objective, WholeStep
from support.cli import run_script
from support.frames import geometry, network, random_system, small_potential, with_random_labels
from support.losses import loss_and_terms

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
MAGNETIC = torch.tensor([True, False])
ORDER = [[0, 3], [1, 4], [2, 0], [3, 1], [4, 2], [0, 3], [2, 2], [1, 0]]
"""Frames of two compositions, so that batches have several shapes."""
RATES = [2.0**-10 * (1 + step % 4) for step in range(len(ORDER))]
"""The same in float32, which fused optimizers take."""

OPTIMIZERS = {
    "adam": lambda params: Adam(params, lr=1.0, fused=True),
    "adamw": lambda params: torch.optim.AdamW(params, lr=1.0, fused=True),
    "muon": lambda params: Muon(params, lr=1.0),
}


@pytest.fixture(scope="module")
def frames():
    systems = [
        with_random_labels(random_system(1, n_frames=3), seed=1),
        with_random_labels(random_system(2, n_frames=2, n_ni=6, n_o=2), seed=2, only=("energy", "force_mag")),
    ]
    return FrameDataset(systems, geometry(small_potential().spec))


def whole_step(frames, optimizer, device="cpu", clip=None, scale=None, potential=None) -> LoadedStep:
    potential = (potential or small_potential()).to(device)
    scale = None if scale is None else scale.to(device)
    parameters = [*potential.parameters(), *([] if scale is None else scale.parameters())]
    loss = EnerSpinLoss(label_scale_fm=None if scale is None else "learned")
    objective = Objective(potential, loss, MAGNETIC.to(device), scale)
    whole = WholeStep(objective, OPTIMIZERS[optimizer](parameters), list(potential.parameters()), clip)
    return LoadedStep(ResidentFrames.of(frames, device), whole)


def by_hand(frames, optimizer, scale=None):
    """The losses of the steps by batches of their own, and the weights they end at."""
    potential, scale, loss = (
        small_potential(),
        copy.deepcopy(scale),
        EnerSpinLoss(label_scale_fm=scale and "learned"),
    )
    optimizer = OPTIMIZERS[optimizer](
        [*potential.parameters(), *([] if scale is None else scale.parameters())]
    )
    losses = []
    for numbers, rate in zip(ORDER, RATES, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = frames.batch(numbers)
        found = potential(batch, differentiable=True)
        value, _ = loss_and_terms(loss, found, batch, MAGNETIC, rate, None if scale is None else scale())
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses, torch.cat([p.detach().flatten() for p in potential.parameters()])


def weights_of(made):
    return torch.cat([p.detach().flatten() for p in made.whole.watched])


def steps(made, make):
    """Losses and weights of the same steps by a LoadedStep or by what repeats it."""
    losses = []
    for numbers, rate in zip(ORDER, RATES, strict=True):
        for group in made.whole.optimizer.param_groups:
            group["lr"] = rate
        losses.append(make(numbers, rate).loss.item())
    return losses, weights_of(made).cpu()


def streamed(frames, numbers):
    """The padded batch as a loader gives it."""
    return PaddedBatch.of(frames.batch(numbers)).pin_memory()


def launched(made):
    def make(given, ratio):
        settings = torch.tensor(made.settings(ratio), dtype=torch.float64)
        return made(*made.frames.load(given), settings)

    return make


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_whole_step_is_the_usual_one(frames, optimizer, scaled):
    scale = LabelScale("learned", (True, False)) if scaled else None
    made = whole_step(frames, optimizer, scale=copy.deepcopy(scale))
    losses, weights = steps(made, launched(made))
    expected, expected_weights = by_hand(frames, optimizer, scale)
    tolerance = 1e-5 if optimizer == "muon" else 1e-10  # its directions are float32
    assert losses == pytest.approx(expected, rel=tolerance)
    torch.testing.assert_close(weights, expected_weights, rtol=0, atol=tolerance)


def test_a_whole_step_of_a_streamed_batch_is_the_usual_one(frames):
    made = whole_step(frames, "adam")
    made = replace(made, frames=StreamedFrames(made.frames.closest, "cpu"))
    step = launched(made)
    losses, weights = steps(made, lambda numbers, ratio: step(PaddedBatch.of(frames.batch(numbers)), ratio))
    expected, expected_weights = by_hand(frames, "adam")
    assert losses == pytest.approx(expected, rel=1e-10)
    torch.testing.assert_close(weights, expected_weights, rtol=0, atol=1e-10)


def test_the_rates_are_the_optimizers_own_again(frames):
    made = whole_step(frames, "muon")
    before = [dict(group) for group in made.whole.optimizer.param_groups]
    with learning_rates(made.whole.optimizer, torch.tensor([0.5, 0.25])):
        assert [float(group["lr"]) for group in made.whole.optimizer.param_groups] == [0.5, 0.25]
    assert [dict(group) for group in made.whole.optimizer.param_groups] == before


def test_clipping_comes_between_gradients_and_optimizer(frames):
    made = whole_step(frames, "adam", clip=lambda: [p.grad.zero_() for p in made.whole.watched])
    before = weights_of(made)
    _, weights = steps(made, launched(made))
    assert torch.equal(weights, before)


def test_a_gradient_that_is_no_number_is_told(frames):
    made = whole_step(frames, "adam")
    assert bool(launched(made)(ORDER[0], 1.0).finite)
    made.frames._all.pair_vector[3] = math.nan
    assert not bool(launched(made)([0, 3], 1.0).finite)


@needs_gpu
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_recorded_steps_are_those_of_the_cpu(frames, optimizer, scaled):
    scale = LabelScale("learned", (True, False)) if scaled else None
    made = whole_step(frames, optimizer, "cuda", scale=copy.deepcopy(scale))
    recorded = RecordedSteps(made)
    losses, weights = steps(made, recorded)
    expected, expected_weights = by_hand(frames, optimizer, scale)
    assert recorded.recorded
    assert recorded.failure(wait=True) is None
    tolerance = 1e-4 if optimizer == "muon" else 1e-8
    assert losses == pytest.approx(expected, rel=tolerance)
    torch.testing.assert_close(weights, expected_weights, rtol=0, atol=tolerance)


@needs_gpu
def test_recorded_steps_of_streamed_batches_are_those_of_the_cpu(frames):
    made = whole_step(frames, "adam", "cuda")
    made = replace(made, frames=StreamedFrames(made.frames.closest, "cuda"))
    recorded = RecordedSteps(made)
    losses, weights = steps(made, lambda numbers, ratio: recorded(streamed(frames, numbers), ratio))
    expected, expected_weights = by_hand(frames, "adam")
    assert recorded.recorded
    assert losses == pytest.approx(expected, rel=1e-8)
    torch.testing.assert_close(weights, expected_weights, rtol=0, atol=1e-8)


@needs_gpu
def test_closer_atoms_are_recorded_anew(frames):
    made = whole_step(frames, "adam", "cuda")
    recorded = RecordedSteps(replace(made, frames=StreamedFrames(made.frames.closest, "cuda")))
    given = streamed(frames, ORDER[0])
    for _ in range(3):
        recorded(given, 1.0)
    before = recorded.recorded[given.shape]
    closer = replace(given, batch=replace(given.batch, closest=[0.9 * r for r in made.frames.closest]))
    for _ in range(3):
        recorded(closer, 1.0)
    assert recorded.recorded[given.shape] is not before


@needs_gpu
@pytest.mark.parametrize("time_reversal", [False, True])
def test_recorded_steps_with_time_reversal_and_clipping(frames, time_reversal):
    """Launched and recorded on the same device."""
    found = []
    for record in (False, True):
        potential = small_potential(time_reversal=time_reversal)
        shown = FrameDataset(frames.systems, geometry(potential.spec))
        made = whole_step(
            shown,
            "adam",
            "cuda",
            clip=lambda: torch.nn.utils.clip_grad_norm_(list(potential.parameters()), 0.1),  # noqa: B023
            potential=potential,
        )
        recorded = RecordedSteps(made)
        found.append(steps(made, recorded if record else lambda *given: made(*recorded.inputs(*given))))  # noqa: B023
    (losses, weights), (expected, expected_weights) = found
    assert losses == pytest.approx(expected, rel=1e-9)
    torch.testing.assert_close(weights, expected_weights, rtol=0, atol=1e-9)


@needs_gpu
def test_other_nodes_are_recorded_anew(frames):
    made = whole_step(frames, "adam", "cuda")
    recorded = RecordedSteps(made)
    for _ in range(3):
        recorded(ORDER[0], 1.0)
    before = recorded.recorded[made.frames.shape(ORDER[0])]
    network(made.whole.objective.potential).descriptor.nodes.numbers = [[136] * 4] * 2
    for _ in range(3):
        recorded(ORDER[0], 1.0)
    assert recorded.recorded[made.frames.shape(ORDER[0])] is not before


@needs_gpu
def test_a_failure_names_its_step_and_frames(frames):
    made = whole_step(frames, "adam", "cuda")
    recorded = RecordedSteps(made)
    for step in range(1, 5):
        recorded([0, 3], 1.0, step)
    assert recorded.failure(wait=True) is None
    made.frames._all.pair_vector[3] = math.nan
    for step in range(5, 9):
        recorded([0, 3], 1.0, step)
    assert recorded.failure() is None
    recorded([0, 3], 1.0, 9)
    assert recorded.failure() == (5, [("random1", 0), ("random2", 0)])


@needs_gpu
def test_what_cannot_be_recorded_is_told(frames):
    class Asking(torch.optim.Adam):
        def step(self, closure=None):
            assert self.param_groups[0]["params"][0].sum().item() != 0.0
            return super().step(closure)

    made = whole_step(frames, "adam", "cuda")
    asking = Asking(made.whole.watched, lr=1.0, fused=True)
    made = replace(made, whole=replace(made.whole, optimizer=asking))
    recorded = RecordedSteps(made)
    recorded(ORDER[0], 1.0)
    with pytest.raises(TrainingError, match=r"could not be recorded as a CUDA graph: .*cuda_graph=false"):
        recorded(ORDER[0], 1.0)


MORE = (
    [],
    ["trainer.gradient_clip_val=0.5"],
    ["trainer.precision=32-true"],
    ["model/exchange=full"],
    ["callbacks=[default,ema]", "optimizer=adamw"],
)


@needs_gpu
@pytest.mark.parametrize("more", MORE)
def test_a_run_with_graphs_is_one_without(more, tmp_path):
    found = {}
    for graph in ("auto", "false"):
        folder = tmp_path / graph
        run_script(
            "train.py",
            *(
                "trainer=gpu",
                f"trainer.cuda_graph={graph}",
                "trainer.max_steps=60",
                "trainer.val_check_interval=20",
            ),
            *(f"hydra.run.dir={folder}", *more),
            cwd=tmp_path,
        )
        found[graph] = json.loads((folder / "summary.json").read_text())
    assert found["auto"]["cuda_graph"] == "used"
    assert found["false"]["cuda_graph"] == "not used: trainer.cuda_graph=false"
    tolerance = 0.05 if "trainer.precision=32-true" in more else 1e-5
    for name in ("rmse_e", "rmse_fr", "rmse_fm"):
        assert found["auto"]["val"][name] == pytest.approx(found["false"]["val"][name], rel=tolerance)


@needs_gpu
def test_a_run_goes_on(tmp_path):
    """Without graphs, with them, and with them to the end, as one run does."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    common = ("trainer=gpu", "trainer.val_check_interval=20", "scheduler.decay_steps=10")
    run_script("train.py", *common, "trainer.max_steps=60", f"hydra.run.dir={whole}", cwd=tmp_path)
    for steps_, graph in ((20, "false"), (40, "auto"), (60, "auto")):
        more = (f"trainer.max_steps={steps_}", f"trainer.cuda_graph={graph}", "resume=auto")
        run_script("train.py", *common, *more, f"hydra.run.dir={parts}", cwd=tmp_path)
    one, other = (json.loads((folder / "summary.json").read_text()) for folder in (whole, parts))
    assert other["steps"] == 60
    assert one["val"]["rmse_fr"] == pytest.approx(other["val"]["rmse_fr"], rel=1e-3)


@needs_gpu
@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (["model.descriptor.radial=direct"], "radial=direct"),
        (["optimizer=soap"], "Soap"),
        (["callbacks=[default,gradient_norms]"], "GradientNorms"),
        (["trainer.accumulate_grad_batches=2"], "accumulate"),
    ],
)
def test_why_not(settings, why, tmp_path):
    given = ("trainer=gpu", "trainer.max_steps=4", "trainer.val_check_interval=2", *settings)
    result = run_script("train.py", *given, f"hydra.run.dir={tmp_path / 'run'}", cwd=tmp_path)
    assert "No CUDA graph" in result.stdout
    assert why in json.loads((tmp_path / "run" / "summary.json").read_text())["cuda_graph"]
    refused = run_script("train.py", *given, "trainer.cuda_graph=true", cwd=tmp_path, check=False)
    assert refused.returncode == 1
    assert why in refused.stderr
