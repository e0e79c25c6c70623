"""Every shipped config composes, is valid, can be printed without data, and trains."""

import json
import os

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from spinpot.analysis.tasks import TASKS
from spinpot.config.validate import (
    AUDIT,
    EVALUATION,
    analysis_arguments,
    arguments,
    label_arguments,
    validate,
)
from spinpot.core.errors import InputError
from spinpot.labels.recipe import SystemRecipe, configurations, recipe_of
from spinpot.labels.structure import find_structure
from spinpot.training.run import train
from support.cli import run_script
from support.configs import CONFIGS, choosing, composed, options, options_of
from support.folders import SMALL, write_small_set

OPTIONS = options()
EXPERIMENTS = [option for group, option in OPTIONS if group == "experiment"]
STEPS = 2
SHORT = [
    "scheduler.warmup_steps=0",
    f"trainer.max_steps={STEPS}",
    "trainer.val_check_interval=1",
    "trainer.log_every_n_steps=1",
    "trainer.enable_progress_bar=false",
    "report=false",
]


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    """Overrides that replace the frames of any recipe by a few small ones of Ni and O."""
    arguments = write_small_set(tmp_path_factory.mktemp("data"))
    folders = [argument for argument in arguments if argument.startswith(("data.train", "data.validation"))]
    return [*folders, "data.test=null", "data.prepare=null", "data.exclude=null", "data.type_map=[Ni,O]"]


def small_model(*chosen):
    """Overrides that make the model small that some others choose."""
    target = composed(*chosen).model._target_
    (model,) = (model for model in SMALL if composed(f"model={model}").model._target_ == target)
    return [*SMALL[model], *(["model.descriptor.sel=auto"] if model == "spin" else [])]


def test_the_folder_is_found():
    assert ("loss", "ener_spin") in OPTIONS
    assert EXPERIMENTS


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_composes_and_is_valid(group, option):
    validate(composed(*choosing(group, option)))


@pytest.mark.parametrize("group", ["scheduler", "optimizer"])
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_takes_any_option_of(group, experiment):
    for option in (option for of, option in OPTIONS if of == group):
        config = composed(f"experiment={experiment}", f"{group}={option}")
        validate(config)
        assert config.scheduler.start_lr == composed(f"experiment={experiment}").scheduler.start_lr


def test_the_default_is_valid():
    validate(composed())


def test_evaluation_is_valid():
    config = composed("checkpoint=a.ckpt", "systems=[b,c]", "output=d", name="evaluate")
    assert arguments(EVALUATION, config)["systems"] == ["b", "c"]


def test_audit_is_valid():
    given = arguments(AUDIT, composed("systems=[b,7]", name="audit"))
    assert given == {"systems": ["b", "7"], "output": None}
    given = arguments(AUDIT, composed("systems=b", "output=7", name="audit"))
    assert given == {"systems": ["b"], "output": "7"}


@pytest.mark.parametrize("recipe", options_of("recipe"))
def test_a_recipe_is_valid_and_makes_configurations(recipe):
    given = ["output=o", "label=hamiltonian", f"recipe={recipe}"]
    if recipe in ("default", "trajectory"):
        given.append("++recipe.systems.mine={frames: 2}")
    found = recipe_of(label_arguments(composed(*given, name="label"), SystemRecipe)["recipe"])
    structure = find_structure(None, found.structure or {"name": "Fe", "cubic": True})
    made = configurations(found, structure, seed=0)
    assert len(made) == sum(system.frames for system in found.systems.values())


@pytest.mark.parametrize("option", options_of("label"))
def test_a_labeller_is_valid(option):
    given = ["output=o", f"label={option}", "recipe=NiO", "seed=3"]
    config = composed(*given, *(["label.command=cat"] if option == "command" else []), name="label")
    assert label_arguments(config, SystemRecipe)["seed"] == 3
    assert isinstance(instantiate(config.label).isotropic, bool)


@pytest.mark.parametrize("task", options_of("task"))
def test_a_task_of_analysis_is_valid(task):
    config = composed(f"task={task}", "checkpoint=a.ckpt", "structure=b.xyz", "output=c", name="analyze")
    settings = {name: one.settings for name, one in TASKS.items()}
    assert analysis_arguments(config, settings)["tasks"] == {task: settings[task]()}


def test_every_file_of_the_top_is_known():
    assert {file.stem for file in CONFIGS.glob("*.yaml")} == {
        "train",
        "evaluate",
        "audit",
        "label",
        "learn",
        "analyze",
        "wandb_sweep",
    }


@pytest.mark.parametrize("experiment", [None, *EXPERIMENTS])
def test_printed_without_data(experiment, tmp_path):
    chosen = [f"experiment={experiment}"] if experiment else []
    result = run_script("train.py", "--cfg", "job", "--resolve", *chosen, cwd=tmp_path, SPINPOT_DATA="")
    printed = OmegaConf.create(result.stdout)
    assert printed.model.spin.use_spin == "auto"
    assert "${" not in result.stdout
    assert not list(tmp_path.iterdir())


TRAINED = [choice for choice in OPTIONS if choice[0] not in ("data", "trainer", "paths")]
"""Those that the small frames can stand in for, in this process."""


@pytest.mark.slow
@pytest.mark.parametrize(("group", "option"), TRAINED)
def test_trains(group, option, small_set, tmp_path):
    if group == "logger" and option in ("wandb", "tensorboard"):
        pytest.importorskip(option)
    chosen = choosing(group, option)
    config = composed(*chosen, *small_set, *SHORT, *small_model(*chosen))
    validate(config)
    summary = train(config, tmp_path / "run")
    assert summary["steps"] == STEPS
    assert json.loads((tmp_path / "run" / "summary.json").read_text()) == summary


TRAINERS = [option for group, option in OPTIONS if group == "trainer" and option != "default"]


@pytest.mark.slow
@pytest.mark.parametrize("option", TRAINERS)
def test_trainer_trains_or_says_what_is_missing(option, small_set, tmp_path):
    arguments = [f"trainer={option}", *small_set, *SHORT, *small_model()]
    config = composed(*arguments)
    if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        with pytest.raises(InputError, match="PyTorch sees no CUDA GPU"):
            train(config, tmp_path / "run")
        return
    # In a process of its own, for it may start others.
    run_script("train.py", *arguments, f"hydra.run.dir={tmp_path / 'run'}")
    assert (tmp_path / "run" / "summary.json").exists()


BUILT_IN = ("NiO", "Fe_gpaw")
"""Sets of data that spinpot makes or comes with."""


@pytest.mark.slow
@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "data"])
def test_data_train(option, small_set, tmp_path):
    config = composed(*choosing("data", option), *SHORT, *small_model(), f"paths.data_dir={tmp_path}")
    if option == "npy":
        config = composed("data=npy", *small_set, *SHORT, *small_model())
    elif option not in BUILT_IN:
        shared = os.environ.get("SPINPOT_DATA")
        if not shared:
            pytest.skip(f"needs real frames: set SPINPOT_DATA to a folder with {option}")
        config.paths.data_dir = shared
    assert train(config, tmp_path / "run")["steps"] == STEPS


def test_an_option_that_is_wrong_would_be_seen(small_set):
    config = composed(*small_set, *SHORT, *small_model())
    OmegaConf.set_struct(config, False)
    config.loss.start_pref_ee = 1.0
    with pytest.raises(InputError, match="start_pref_e"):
        validate(config)
