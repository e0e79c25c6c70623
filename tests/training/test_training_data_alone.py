"""Only training frames determine the statistics of a model; a message says what is new in validation."""

import json
from unittest import mock

import pytest

from spinpot.loss.score import Score
from spinpot.models.deepspin import collocation_check
from spinpot.models.deepspin.sizes import BEYOND_SEL
from spinpot.training.callbacks.settling import _of_use
from spinpot.training.run import train
from support.configs import composed
from support.folders import write_npy
from support.frames import random_system, with_random_labels

SETTLE = "spinpot.models.deepspin.potential.settle_nodes"


def labelled(seed, frames, **kind):
    return with_random_labels(random_system(seed, frames, **kind), seed)


@pytest.fixture
def data(tmp_path):
    """Overrides for validation frames that are denser than the training frames."""
    made = {"train": labelled(1, 4), "validation": labelled(2, 3, edge=3.4), "test": labelled(3, 2)}
    folders = [f"data.{name}=[{write_npy(tmp_path / name, system)}]" for name, system in made.items()]
    return ["data=npy", *folders, "debug=fast", "report=false", "trainer.enable_progress_bar=false"]


def sel_of(folder):
    return json.loads((folder / "summary.json").read_text())["model"]["descriptor"]["sel"]


def test_sel_is_that_of_the_training_frames(data, tmp_path, capsys):
    train(composed(*data, f"data.validation=[{tmp_path / 'test'}]", "data.test=null"), tmp_path / "usual")
    assert "sel=" not in capsys.readouterr().out
    train(composed(*data), tmp_path / "run")
    sel = sel_of(tmp_path / "usual")
    assert sel_of(tmp_path / "run") == sel
    (said,) = [line for line in capsys.readouterr().out.splitlines() if "sel=" in line]
    assert said.startswith(
        f"look: model.descriptor.sel={sel} is too small for validation, frame 0 (and 2 more "
    )
    assert said.endswith(BEYOND_SEL)


def test_nodes_are_those_of_training_frames(data, tmp_path):
    seen = set()

    def settle(potential, batch, **options):
        seen.update(name for name, _ in batch.origin)
        return collocation_check.settle_nodes(potential, batch, **options)

    with mock.patch(SETTLE, side_effect=settle):
        train(composed(*data), tmp_path / "run")
    assert seen == {"train"}


@pytest.mark.parametrize(
    ("metrics", "said"), [({}, False), ({"val/score": 3.0}, False), ({"val/score": 0.2}, True)]
)
def test_nodes_of_a_useless_model_are_not_what_is_wrong_with_it(metrics, said):
    assert _of_use(mock.Mock(callback_metrics=metrics)) == said


def test_an_infinite_score_is_never_chosen_over_a_finite_one(data, tmp_path):
    scores = [float("inf"), 0.5, float("inf"), 0.7]
    steps = ["trainer.max_steps=3", "trainer.val_check_interval=1", "scheduler.decay_steps=1"]
    with mock.patch.object(Score, "__call__", side_effect=scores):
        train(composed(*data, *steps), tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["checkpoint"]["step"] == 2


def test_a_useless_run_says_so(data, tmp_path, capsys):
    still = ["scheduler.start_lr=1e-30", "scheduler.stop_lr=1e-30"]
    train(composed(*data, *still), tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["val"]["score"] >= 1.0
    assert sum(summary["score_terms"].values()) / 3 == pytest.approx(summary["val"]["score"])
    *_, said, written = capsys.readouterr().out.splitlines()
    assert said.startswith(
        f"The best checkpoint is of little use: its score is {summary['val']['score']:.3g} ("
    )
    assert written.startswith("Written: ")
