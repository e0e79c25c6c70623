"""input.json becomes an experiment that composes, is valid and trains; no key is lost silently."""

import json
import re

import pytest
import yaml

from spinpot.config.validate import validate
from spinpot.core.errors import InputError
from spinpot.evaluation.convert import read_model
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.models.deepspin.deepmd.keys import KEYS, REASONS
from spinpot.training.trainer import build
from support.cli import run_script
from support.configs import composed
from support.deepmd_input import small_input
from support.folders import labelled_by_a_potential, write_npy
from support.in_process import run_here, the_message

LEFT = {
    "model.descriptor.seed",
    "model.fitting_net.seed",
    "model.data_stat_nbatch",
    "training.validation_data.numb_btch",
    "training.disp_file",
}


@pytest.fixture
def convert(tmp_path):
    """The experiment of an input, its text, and the path it was written to."""

    def run(contents, name="made"):
        (tmp_path / "in").mkdir(exist_ok=True)
        source = tmp_path / "in" / "input.json"
        source.write_text(json.dumps(contents))
        target = tmp_path / "configs" / "experiment" / f"{name}.yaml"
        target.parent.mkdir(parents=True, exist_ok=True)
        result = run_here("convert.py", str(source), str(target), cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        text = target.read_text()
        return yaml.safe_load(text), text, result.stdout

    return run


def changed(**sections):
    """The example after changes of its sections' keys; None takes a key away."""
    contents = small_input()
    for path, values in sections.items():
        node = contents
        for key in path.split("__"):
            node = node.setdefault(key, {})
        node.update(values)
        for key in [key for key, value in values.items() if value is None]:
            del node[key]
    return contents


def left_of(text):
    """The keys that a written file names as not carried over."""
    return {line.split(":")[0].removeprefix("#   ") for line in text.splitlines() if line.startswith("#   ")}


def test_every_key_is_carried_over_or_named(convert):
    made, text, said = convert(small_input())
    assert left_of(text) == LEFT
    assert "Not carried over" in said
    assert made["model"]["descriptor"]["sel"] == [60, 60]
    assert made["model"]["spin"]["virtual_scale"] == [0.4 / 1.2737]
    assert made["data"]["train"][0].endswith("/in/train")
    assert made["seed"] == 10
    assert made["scheduler"] == {
        "start_lr": 0.001,
        "stop_lr": 5.92e-6,
        "warmup_steps": 0,
        "warmup_start_factor": 0.0,
        "decay_steps": 5000,
        "smooth": False,
    }


def test_defaults_are_deepmd_kits(convert):
    contents = changed(
        model__descriptor={"neuron": None, "axis_neuron": None, "sel": None, "rcut_smth": None}
    )
    contents["model"]["fitting_net"] = {}
    contents["learning_rate"] = {"start_lr": 0.002}
    contents["loss"] = {"type": "ener_spin"}
    made, _, _ = convert(contents)
    descriptor = made["model"]["descriptor"]
    assert (descriptor["neuron"], descriptor["axis_neuron"], descriptor["sel"]) == ([10, 20, 40], 4, "auto")
    assert (descriptor["rcut_smth"], descriptor["env_protection"]) == (0.5, 0.01)
    assert made["model"]["fitting_net"]["neuron"] == [120, 120, 120]
    assert (made["loss"]["start_pref_fm"], made["loss"]["limit_pref_fm"]) == (10000.0, 10.0)
    assert made["scheduler"]["stop_lr"] == 5e-8


def test_the_flavour_of_tensorflow(convert):
    spin = {"virtual_scale": None, "virtual_len": [0.4], "spin_norm": [1.2737]}
    made, _, _ = convert(changed(model__spin=spin, model__descriptor={"precision": "float64"}))
    assert made["model"]["spin"]["virtual_len"] == [0.4]
    assert made["model"]["spin"]["spin_norm"] == [1.2737]
    assert made["model"]["spin"]["virtual_scale"] is None


def test_a_term_with_one_prefactor_is_off_as_in_deepmd_kit(convert):
    made, text, _ = convert(changed(loss={"start_pref_v": 0, "limit_pref_v": 1.0}))
    assert made["loss"]["limit_pref_v"] == 0.0
    assert "loss.limit_pref_v" in left_of(text)


def test_what_spinpot_does_not_have_is_named(convert):
    more = {"enable_tf32": True, "mixed_precision": {"compute_prec": "float16"}}
    without = {"numb_fparam": 0, "numb_aparam": 0}
    contents = changed(
        training=more, model__descriptor={"exclude_types": [[0, 1]]}, model__fitting_net=without
    )
    contents["validating"] = {"full_validation": False}
    _, text, _ = convert(contents)
    assert "#   training.enable_tf32: spinpot has no equivalent" in text
    assert left_of(text) == LEFT | {
        "training.enable_tf32",
        "training.mixed_precision.compute_prec",
        "model.descriptor.exclude_types",
        "validating.full_validation",
    }


@pytest.mark.parametrize(
    ("section", "key", "said"),
    [
        ("training", "disp_frek", "Did you mean training.disp_freq?"),
        ("model__descriptor", "rcut_smooth", "Did you mean model.descriptor.rcut_smth?"),
        ("training__validation_data", "numb_batches", "Did you mean training.validation_data.numb_batch?"),
        ("loss", "start_pref_fmag", "Did you mean loss.start_pref_fm?"),
        ("training", "scale_by_worker", "Did you mean learning_rate.scale_by_worker?"),
        ("training", "no_such_thing_at_all", "deepmd-kit has no key training.no_such_thing_at_all. Correct"),
        ("model__fitting_net", "numb_fparam", "model.fitting_net.numb_fparam=2: spinpot has no parameters"),
        ("model__fitting_net", "numb_aparam", "model.fitting_net.numb_aparam=2: spinpot has no parameters"),
    ],
)
def test_keys_that_would_change_the_model_unseen(section, key, said, tmp_path):
    (tmp_path / "input.json").write_text(json.dumps(changed(**{section: {key: 2}})))
    assert said in the_message(run_here("convert.py", "input.json", "out.yaml", cwd=tmp_path))
    assert not (tmp_path / "out.yaml").exists()


def test_every_key_with_a_reason_is_one_of_deepmd_kits():
    for key in REASONS:
        section, _, name = key.rpartition(".")
        assert name in KEYS[section], key


@pytest.mark.parametrize(
    ("sections", "settings"),
    [
        ({"training": {"gradient_max_norm": 5.0, "acc_freq": 2}}, ("trainer", "gradient_clip_val", 5.0)),
        ({"model": {"pair_exclude_types": [[0, 1]]}}, ("model", "descriptor", "exclude_types", [[0, 1]])),
        ({"optimizer": {"type": "AdamW"}}, ("optimizer", "weight_decay", 1e-3)),
        ({"learning_rate": {"type": "cosine", "decay_steps": None}}, ("scheduler", "stop_lr", 5.92e-6)),
        ({"learning_rate": {"warmup_ratio": 0.5}}, ("scheduler", "warmup_steps", 2)),
        ({"training": {"enable_ema": True, "ema_decay": 0.9}}, ("callbacks", "ema", "decay", 0.9)),
        ({"training__training_data": {"batch_size": [2, 2]}}, ("data", "batch_size", 2)),
        (
            {"learning_rate": {"decay_steps": 2, "decay_rate": 0.5}},
            ("scheduler", "stop_lr", pytest.approx(0.00025)),
        ),
    ],
)
def test_settings_and_their_validity(sections, settings, convert, tmp_path):
    made, _, _ = convert(changed(**sections))
    *place, expected = settings
    for key in place:
        made = made[key]
    assert made == expected
    validate(composed_experiment(tmp_path))


def composed_experiment(tmp_path, *more):
    """What Hydra makes of the written experiment."""
    folder = f"hydra.searchpath=[file://{tmp_path / 'configs'}]"
    return composed(folder, "experiment=made", *more)


MUON_LEFT = {
    "optimizer.type": (
        "HybridMuon: muon is used instead, without weight decay (deepmd-kit's default is 0.001) and damping"
    ),
    "optimizer.weight_decay": "spinpot has weight decay only for Adam and AdamW",
    "optimizer.magma_muon": "Muon's steps are not damped",
}


@pytest.mark.parametrize(
    ("more", "settings"),
    [
        ({}, {"momentum": 0.95, "betas": [0.9, 0.95]}),  # deepmd-kit's defaults
        ({"momentum": 0.8, "adam_beta1": 0.5, "adam_beta2": 0.6}, {"momentum": 0.8, "betas": [0.5, 0.6]}),
        ({"muon_momentum": 0.7}, {"momentum": 0.7, "betas": [0.9, 0.95]}),
    ],
)
def test_hybrid_muon_is_muon(more, settings, convert, tmp_path):
    contents = small_input()
    contents["optimizer"] = {"type": "HybridMuon", "weight_decay": 0.001, "magma_muon": True, **more}
    made, text, _ = convert(contents)
    assert {"override /optimizer": "muon"} in made["defaults"]
    assert made["optimizer"] == settings
    for key, reason in MUON_LEFT.items():
        assert f"#   {key}: {reason}\n" in text
    assert left_of(text) == LEFT | set(MUON_LEFT)
    config = composed_experiment(tmp_path)
    validate(config)
    assert config.optimizer.betas == settings["betas"]


@pytest.mark.parametrize("name", ["LKF", "AdaMuon"])
def test_an_optimizer_that_spinpot_does_not_have(name, convert):
    made, text, _ = convert(changed(optimizer={"type": name}))
    assert {"override /optimizer": "adam"} in made["defaults"]
    said = f"#   optimizer.type: {name}: spinpot has Adam, AdamW, Muon and SOAP; Adam is used instead\n"
    assert said in text


def systems_below(folder, *names):
    """Folders with type.raw, as far as a converter looks at them."""
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "type.raw").write_text("0\n0\n1\n")


@pytest.mark.parametrize("systems", ["all", ["all"]])
def test_patterns_are_expanded_as_deepmd_kit_expands_them(systems, convert, tmp_path):
    systems_below(tmp_path / "in" / "all", "data_0", "data_1", "deep/data_1", "validation")
    (tmp_path / "in" / "all" / "data_2").mkdir()  # no system
    patterns = {"systems": systems, "rglob_patterns": ["data_[12]", "deep/data_*"]}
    made, text, _ = convert(changed(training__training_data=patterns))
    assert made["data"]["train"] == [
        str(tmp_path / "in" / "all" / name) for name in ("data_1", "deep/data_1")
    ]
    assert made["data"]["validation"] == [str(tmp_path / "in" / "validation")]
    assert left_of(text) == LEFT


@pytest.mark.parametrize(
    ("patterns", "folder", "said"),
    [
        (
            ["nothing_*"],
            "all",
            "input.json: training.training_data.rglob_patterns: no system below {folder} matches "
            "['nothing_*']. Expected folders with type.raw; correct the patterns, or convert "
            "the input where its data are.",
        ),
        (
            ["data_*"],
            "absent",
            "input.json: training.training_data.rglob_patterns: no system below {folder} matches "
            "['data_*']. Expected folders with type.raw; correct the patterns, or convert the input where "
            "its data are.",
        ),
        (
            "data_*",
            "all",
            "input.json: training.training_data.rglob_patterns=data_*: expected a list of patterns, e.g. "
            "['data_*'].",
        ),
        (["/data_*"], "all", "a value of the wrong kind near training.training_data.rglob_patterns"),
    ],
)
def test_patterns_that_cannot_be_expanded(patterns, folder, said, tmp_path):
    systems_below(tmp_path / "all", "data_0")
    contents = changed(training__training_data={"systems": folder, "rglob_patterns": patterns})
    (tmp_path / "input.json").write_text(json.dumps(contents))
    message = the_message(run_here("convert.py", "input.json", "out.yaml", cwd=tmp_path))
    assert said.format(folder=tmp_path / folder) in message
    assert not (tmp_path / "out.yaml").exists()


@pytest.mark.parametrize("name", ["input.yaml", "input.yml"])
@pytest.mark.parametrize("flow", [False, True])
def test_an_input_in_yaml(name, flow, convert, tmp_path):
    expected, _, _ = convert(small_input())
    (tmp_path / "in" / name).write_text(yaml.safe_dump(small_input(), default_flow_style=flow, width=10**6))
    result = run_here("convert.py", f"in/{name}", "other.yaml", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert yaml.safe_load((tmp_path / "other.yaml").read_text()) == expected


def test_a_misspelt_key_in_yaml(tmp_path):
    (tmp_path / "input.yaml").write_text(yaml.safe_dump(changed(training={"disp_frek": 2})))
    message = the_message(run_here("convert.py", "input.yaml", "out.yaml", cwd=tmp_path))
    assert "input.yaml: deepmd-kit has no key training.disp_frek. Did you mean training.disp_freq?" in message


def test_yaml_that_is_damaged(tmp_path):
    (tmp_path / "input.yaml").write_text("model: [1\ntraining: {")
    message = the_message(run_here("convert.py", "input.yaml", "out.yaml", cwd=tmp_path))
    assert message.startswith("input.yaml: not readable as YAML: while parsing a flow sequence")


def test_an_input_in_the_place_of_a_model(tmp_path):
    (tmp_path / "input.yaml").write_text(yaml.safe_dump(small_input()))
    with pytest.raises(InputError) as error:
        read_model(tmp_path / "input.yaml")
    assert str(error.value) == (
        f"{tmp_path}/input.yaml: an input of deepmd-kit, not a model. Convert it, spinpot convert "
        "input.yaml mine.yaml, and train; or give a model."
    )


def test_it_trains_from_the_command_line(convert, tmp_path):
    convert(small_input())
    for name, seed in (("train", 1), ("validation", 2)):
        write_npy(tmp_path / "in" / name, labelled_by_a_potential(seed, 4))
    arguments = ["--config-dir", str(tmp_path / "configs"), "experiment=made", "hydra.run.dir=run"]
    run_script("train.py", *arguments, "trainer.enable_progress_bar=false", cwd=tmp_path)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["steps"] == 4
    assert summary["model"]["descriptor"]["sel"] == [60, 60]


def test_its_loss_is_the_one_the_input_asks_for(convert, tmp_path):
    convert(small_input())
    made = build(composed_experiment(tmp_path).loss)
    asked = EnerSpinLoss(0.02, 1.0, 1000.0, 1.0, 10000.0, 10.0)
    assert made.prefactors_at(0.3) == asked.prefactors_at(0.3)


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ({"model": {}}, "no section 'training'"),
        (changed(loss={"type": "ener"}), "ener_spin"),
        (changed(model__descriptor={"type": "dpa1"}), "se_e2_a only"),
        (changed(model={"spin": None}), "without spin"),
        (changed(training={"numb_steps": None}), "numb_steps"),
        (changed(model__spin={"virtual_scale": None}), "needs virtual_len"),
        (changed(model__fitting_net={"type": "dipole"}), "expected ener"),
        (changed(model__descriptor={"activation_function": "swish"}), "is unknown"),
    ],
)
def test_inputs_that_cannot_be_used(contents, said, tmp_path):
    (tmp_path / "input.json").write_text(json.dumps(contents))
    assert said in the_message(run_here("convert.py", "input.json", "out.yaml", cwd=tmp_path))
    assert not (tmp_path / "out.yaml").exists()


def test_not_json(tmp_path):
    (tmp_path / "input.json").write_text('{"model": ')
    assert "not readable as JSON" in the_message(
        run_here("convert.py", "input.json", "out.yaml", cwd=tmp_path)
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.descriptor.rcut", "a", "a value of the wrong kind"),
        ("model.descriptor", [1], "a value of the wrong kind"),
        ("model.pair_exclude_types", [1], "a value of the wrong kind"),
        ("training.numb_steps", "abc", "near training.numb_steps|near training.save_freq"),
        ("learning_rate.start_lr", "x", "near learning_rate"),
        ("training.training_data.batch_size", [], "near training.training_data.batch_size"),
        ("training.numb_steps", -5, "expected a number of steps >= 1"),
        ("model.descriptor.sel", [60], "expected 2 numbers >= 1, one per element"),
        ("model.descriptor.sel", [60, -1], "expected 2 numbers >= 1"),
        ("model.type_map", "Ni", "no type_map"),
        ("model.type_map", ["Ni", "Ni"], "each once"),
        ("model.spin.use_spin", [True], "expected `auto`, 2 bools"),
        ("model.spin.virtual_scale", [0.3, 0.3, 0.3], "has 3 numbers"),
        ("model.pair_exclude_types", [[0, 9]], "expected indices 0 to 3"),
    ],
)
def test_what_cannot_be_right_is_refused(key, value, message, tmp_path):
    contents = small_input()
    *sections, last = key.split(".")
    node = contents
    for name in sections:
        node = node[name]
    node[last] = value
    (tmp_path / "input.json").write_text(json.dumps(contents))
    result = run_here("convert.py", "input.json", "made.yaml", cwd=tmp_path)
    assert result.returncode == 1
    assert re.search(message, the_message(result)), result.stderr
    assert not (tmp_path / "made.yaml").exists()
