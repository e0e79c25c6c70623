"""Pages show the numbers of the files, escape names given by users, and load no other files."""

import json
from pathlib import Path

import numpy as np
import pytest

from spinpot.core.files import null_for_nan
from spinpot.data.dataset import FrameDataset
from spinpot.data.description import describe
from spinpot.evaluation.page import trained_terms
from spinpot.evaluation.parity import parity_points
from spinpot.evaluation.predictor import Predictor
from spinpot.loss.baselines import dataset_errors, mean_of, spread_of
from spinpot.loss.score import Score, verdict
from spinpot.models.registry import facts_of
from spinpot.report.page import (
    breakable,
    date,
    duration,
    error_table,
    formula,
    in_words,
    number,
    percent,
    symbols,
    unit,
    worst_systems,
)
from spinpot.report.panels import parity_panels
from spinpot.report.tables import error_rows
from spinpot.runs.run_page import write_run_report
from spinpot.training.metrics_csv import MetricsCsv
from support.frames import random_system, small_potential, system, with_random_labels
from support.html import Page, assert_self_contained

ODD = "<b>5 & more</b>"
TRAINED = ["e", "fr", "fm"]
EVERY = ("energy", "force", "force_mag", "virial")


def named(made, name):
    labels = {label: getattr(made, label) for label in EVERY if getattr(made, label) is not None}
    return system(made.type_map, made.types, made.box, made.coord, made.spin, name=name, **labels)


def labelled(seed, name, only=EVERY):
    return named(with_random_labels(random_system(seed, 3), seed, only=only), name)


def errors_beside_baselines(potential, train, systems):
    dataset = FrameDataset(systems, Predictor(potential).geometry)
    spec = potential.spec
    return [
        dataset_errors(predict, dataset, spec.use_spin)
        for predict in (potential, spread_of(systems), mean_of(train))
    ]


def write_run(folder: Path, only=EVERY, test=True, data_changes=None, **changes) -> tuple[Page, dict]:
    """A run's folder as training leaves it, without the training."""
    folder.mkdir(exist_ok=True)
    potential = small_potential()
    sets = {"train": [labelled(1, ODD, only)], "validation": [labelled(2, "validation", only)]}
    if test:
        sets["test"] = [labelled(3, "tested", only)]
    summary = {
        "steps": 12,
        "seconds_per_step": 0.25,
        "train_seconds": 134.0,
        "finished": "2026-11-22T20:45:00+01:00",
        "device": "CPU, 1 thread",
        "checkpoint": {"file": "best.ckpt", "step": 9},
        "loss_terms": TRAINED,
        "baselines": {},
        "model": potential.describe(),
        "data": {name: describe(systems) for name, systems in sets.items()},
        "heisenberg_fit": "Heisenberg fit: no network.",
        "git_commit": None,
        "versions": {"python": "3.11"},
    }
    for short, name in (("val", "validation"), ("test", "test")):
        if name in sets:
            best, spread, mean = errors_beside_baselines(potential, sets["train"], sets[name])
            summary[short] = null_for_nan(best)
            baselines = {"labels_spread": null_for_nan(spread), "training_mean": null_for_nan(mean)}
            baselines["heisenberg"] = {
                key: value / 3 for key, value in baselines["training_mean"].items() if value
            }
            summary["baselines"][short] = baselines
            if short == "val":
                score = Score(TRAINED, spread, dict)
                summary["val"] |= null_for_nan({"score": score(best)})
                summary["score_terms"] = null_for_nan(score.ratios(best))
    summary |= changes
    summary["data"] |= data_changes or {}
    config = {
        "trainer": {"max_steps": 12},
        "data": {"train": f"data/{ODD}"},
        "model": {"spin": {"virtual_len": 0.4, "spin_norm": 1.2737}},
    }
    predictions = Predictor(potential).predict(sets["validation"])
    write_run_report(folder, sets["validation"], predictions, json.loads(json.dumps(summary)), config)
    pictures = {file.name: file.read_bytes() for file in folder.glob("*.png")}
    assert "parity.png" in pictures
    assert ("learning_curve.png" in pictures) == (folder / "metrics.csv").exists()
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())
    return Page.of(folder / "report.html"), summary


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "mine"
    folder.mkdir()
    log = MetricsCsv(folder)
    for step in (1, 12):
        log.log_metrics({f"pref_{q}": 1.0 for q in ("e", "fr", "fm", "v")} | {"val/rmse_e": 0.1 / step}, step)
    return write_run(folder)


def test_every_number_of_the_errors_tables_is_in_the_summary(run):
    page, summary = run
    for short, caption in (("val", "Validation set, 3 frames"), ("test", "Test set, 3 frames")):
        rows = {
            (row[0].replace("not in the loss", "").strip(), row[1]): row for row in page.tables[caption][1:]
        }
        spread = summary["baselines"][short]["labels_spread"]
        mean = summary["baselines"][short]["training_mean"]
        expected = {
            ("energy", ""): "e",
            ("force", "all"): "fr",
            ("force", "Ni"): "fr/Ni",
            ("force", "O"): "fr/O",
            ("magnetic force", "Ni"): "fm/Ni",
            ("transverse", "Ni"): "fm_transverse/Ni",
            ("longitudinal", "Ni"): "fm_longitudinal/Ni",
            ("virial", ""): "v",
        }
        assert rows.keys() == expected.keys()
        for place, key in expected.items():
            _, _, best, share, mae, own_spread, training_mean, heisenberg, _ = rows[place]
            errors = summary[short]
            assert float(best) == pytest.approx(1000 * errors[f"rmse_{key}"], rel=6e-3)
            assert float(mae) == pytest.approx(1000 * errors[f"mae_{key}"], rel=6e-3)
            assert float(own_spread) == pytest.approx(1000 * spread[f"rmse_{key}"], rel=6e-3)
            assert float(training_mean) == pytest.approx(1000 * mean[f"rmse_{key}"], rel=6e-3)
            assert float(heisenberg) == pytest.approx(1000 / 3 * mean[f"rmse_{key}"], rel=6e-3)
            ratio = errors[f"rmse_{key}"] / spread[f"rmse_{key}"]
            assert float(share.removesuffix(" %")) == pytest.approx(100 * ratio, abs=0.51)
            assert 1000 * errors[f"rmse_{key}"] in page.values, "and in full for a program"


def test_terms_that_were_not_trained_are_marked(run):
    page, _ = run
    (virial,) = (row for row in page.tables["Validation set, 3 frames"] if row[0].startswith("virial"))
    assert virial[0] == "virial not in the loss"
    assert sum("not in the loss" in row[0] for row in page.tables["Validation set, 3 frames"]) == 1


def test_the_headline(run):
    page, summary = run
    assert "Spin potential of Ni and O" in page.text
    assert "Trained on 3 frames of Ni 3 O 2 for 12 steps in 2 min 14 s on CPU, 1 thread" in page.text
    assert "finished on 22 November 2026, 20:45" in page.text
    assert "best checkpoint, of step 9, has these errors on the 3 frames" in page.text
    assert summary["val"]["score"] in page.values


def test_the_page_is_self_contained_and_light(run):
    page, _ = run
    assert_self_contained(page)
    assert len(page.source) < 2_000_000


def test_a_picture_for_each_quantity_in_light_and_dark(run):
    page, _ = run
    light, dark = (
        [image for image in page.all("img") if image["class"] == kind] for kind in ("light", "dark")
    )
    alts = [image["alt"] for image in light]
    assert alts == [image["alt"] for image in dark]
    assert [alt.split(":")[0] for alt in alts[:5]] == [
        f"Predicted against reference {name}"
        for name in (
            "energy",
            "force",
            "magnetic force, transverse",
            "magnetic force, longitudinal",
            "virial",
        )
    ]
    assert "went from 100 to 8.33 meV/atom" in alts[5]
    light, dark = (
        [image["src"] for image in page.all("img") if image["class"] == c] for c in ("light", "dark")
    )
    assert not set(light) & set(dark)


def test_what_users_named_is_escaped(run):
    page, summary = run
    caption = f"Training set 3 frames, fingerprint {summary['data']['train']['fingerprint']}"
    assert [row[0] for row in page.tables[caption][1:]] == [ODD]
    assert f"train: data/{ODD}" in page.text
    assert len(page.all("b")) == 1, "the page's own"


def test_the_command_and_the_facts(run):
    page, summary = run
    assert "spinpot train --config-path /" in page.text
    assert "/mine --config-name config" in page.text
    assert f"Parameters {summary['model']['parameters']:,}" in page.text
    assert "rcut 4 Å" in page.text
    assert "virtual_len 0.4 Å at spin_norm 1.2737" in page.text
    assert "unknown: spinpot did not run from a git checkout of its own, or git is missing" in page.text


def test_the_facts_of_a_model_from_before_models_had_kinds():
    stored = small_potential().describe()
    old = {name: stored[name] for name in stored if name not in ("kind", "exchange", "time_reversal")}
    assert facts_of(old) == facts_of(stored)
    assert facts_of(stored)["columns"] == ["virtual_scale", "sel"]
    assert [element["cells"][0] for element in facts_of(stored)["elements"]] == ["0.3000 Å/μ_B", "–"]


def test_missing_labels_and_test_set_are_said_in_words(tmp_path):
    page, _ = write_run(tmp_path / "some", only=("energy", "force"), test=False)
    assert "No magnetic force is labelled." in page.text
    assert "No virial is labelled" not in page.text, "the loss did not ask for it"
    assert "There was no test set" in page.text
    assert "Nothing was logged" in page.text
    assert not any("virial" in row[0] for row in page.tables["Validation set, 3 frames"])


def test_a_run_on_hundreds_of_systems(tmp_path):
    """Rows by elements; the lede counts the compositions."""
    formulas = [f"Ni{k}O{k + 1}" for k in range(1, 301)]
    one = {"frames": 2, "atoms": 5, "labels": ["energy", "force"], "moments": {"Ni": [1.0, 1.2]}}
    systems = [{"name": f"s{k}", "formula": formula, **one} for k, formula in enumerate(formulas)]
    systems[7] |= {"formula": "Ni4", "labels": ["energy"]}
    many = {"frames": 600, "fingerprint": "0", "systems": systems}
    page, _ = write_run(tmp_path / "many", data_changes={"train": many})
    assert "600 frames of Ni and O (300 compositions)" in page.text
    caption = "Training set 600 frames, fingerprint 0"
    assert page.tables[caption][1:] == [
        ["299 systems", "Ni O", "598", "5", "energy, force", "Ni 1.000–1.200"],
        ["1 system", "Ni", "2", "5", "energy", "Ni 1.000–1.200"],
    ]
    assert "No force is labelled in s7." in page.text
    assert "No magnetic force is labelled. Systems of the same elements and labels are" in page.text


def test_a_useless_run_says_so(tmp_path, run):
    said = verdict(1.5, {"e": 1.5})
    val = run[1]["val"] | {"score": 1.5}
    page, _ = write_run(tmp_path / "useless", test=False, val=val, score_terms={"e": 1.5})
    assert said in page.text
    val["score"] = 0.5
    page, _ = write_run(tmp_path / "useful", test=False, val=val, score_terms={"e": 0.5})
    assert "of little use" not in page.text


def test_a_run_without_a_heisenberg_fit_says_why(tmp_path, run):
    said = "Heisenberg fit: left out, since it has no frames."
    spread = {name: run[1]["baselines"]["val"][name] for name in ("labels_spread", "training_mean")}
    page, _ = write_run(tmp_path / "some", test=False, baselines={"val": spread}, heisenberg_fit=said)
    assert said in page.text
    assert not any("Heisenberg" in cell for cell in page.tables["Validation set, 3 frames"][0])


def test_a_run_that_stopped_early_or_never_timed_a_step(tmp_path):
    page, _ = write_run(tmp_path / "stopped", steps=4, seconds_per_step=None)
    assert "(stopped before its 12 steps)" in page.text
    assert "not measured" in page.text


# ---- parts ----


def test_of_many_systems_those_with_the_largest_errors():
    systems = {f"s{k}": {"rmse_e": None if k == 3 else 0.001 * k} for k in range(60)}
    assert list(worst_systems(systems, "rmse_e")) == [f"s{k}" for k in range(59, 9, -1)]
    few = {"b": {"rmse_e": 1.0}, "a": {"rmse_e": 2.0}}
    assert list(worst_systems(few, "rmse_e")) == ["b", "a"]


def test_error_rows_without_labels():
    errors = {"rmse_e": 0.001, "rmse_fr": float("nan"), "rmse_fm": None}
    (row,) = error_rows({"model": errors, "other": {}})
    assert (row.quantity.name, row.values, row.trained) == ("e", [1.0, None], True)


def test_an_error_that_is_no_number_keeps_its_row():
    (row,) = error_rows({"model": {"rmse_e": None}, "spread": {"rmse_e": 0.001}})
    assert (row.quantity.name, row.values) == ("e", [None, 1.0])


def test_an_only_element_has_one_row():
    errors = {"rmse_fm": 0.002, "rmse_fm/Ni": 0.002, "mae_fm/Ni": 0.001}
    (entry,) = error_table("", {"model": errors, "spread": {"rmse_fm/Ni": 0.004}}, None)["rows"]
    assert (entry["row"].element, entry["row"].mae, entry["share"], entry["begins"]) == ("Ni", 1.0, 0.5, True)


@pytest.mark.parametrize(("labels", "shares"), [(0.001, [0.1, None]), (0.01, [0.1, 0.9])])
def test_there_is_no_share_of_labels_near_zero(labels, shares):
    """As of longitudinal forces with relaxed lengths, of which any error is a multiple."""
    errors = {"rmse_fm": 0.003, "rmse_fm_longitudinal": 0.009}
    spread = {"rmse_fm": 0.03, "rmse_fm_longitudinal": labels}
    rows = error_table("", {"model": errors, "labels' own spread": spread}, None)["rows"]
    assert [entry["share"] for entry in rows] == [
        None if one is None else pytest.approx(one) for one in shares
    ]
    assert [entry["hardly_labelled"] for entry in rows] == [False, shares[1] is None]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (percent(0.0123), "1.2 %"),
        (percent(4.181), "418 %"),
        (duration(0.84), "0.8 s"),
        (duration(59.7), "1 min 0 s"),
        (duration(134), "2 min 14 s"),
        (duration(12_000), "3 h 20 min"),
        (duration(None), "–"),
        (date("2026-01-02T03:04:05+00:00"), "2 January 2026, 03:04"),
        (formula("Ni16<O>2"), "Ni<sub>16</sub>&lt;O&gt;<sub>2</sub>"),
        (unit("<meV/μ_B"), "&lt;meV/μ<sub>B</sub>"),
        (symbols("F_mag, J_ij"), "F<sub>mag</sub>, J<sub>ij</sub>"),
        (number(9.8661), '<data value="9.8661">9.87</data>'),
        (in_words(["Ni"]), "Ni"),
        (in_words(["Ni", "Fe", "O"]), "Ni, Fe and O"),
        (trained_terms({}), None),
    ],
)
def test_words(made, expected):
    assert made == expected


def test_the_terms_a_checkpoint_was_trained_with():
    loss = {f"{end}_pref_{name}": 0.0 for end in ("start", "limit") for name in ("e", "fr", "fm", "v")}
    assert trained_terms({"loss": loss | {"limit_pref_fr": 1.0, "start_pref_e": 0.02}}) == ["e", "fr"]


def test_many_points_stay_small(tmp_path):
    made = labelled(1, "many", only=("force",))
    frames = 4000
    many = system(
        made.type_map,
        made.types,
        np.tile(made.box[:1], (frames, 1, 1)),
        np.tile(made.coord[:1], (frames, 1, 1)),
        np.tile(made.spin[:1], (frames, 1, 1)),
        force=np.random.default_rng(0).normal(size=(frames, made.n_atoms, 3)),
    )
    (panel,) = parity_panels(
        parity_points([many], [{"force": 0.9 * many.force}], (True, False)), many.type_map
    )
    assert len(panel.light) < 400_000


def test_long_names_break_between_their_words():
    name = "bcc_iron.primitive-cell/run_0001"
    made = breakable(f"{name}, R² 0.9 & more")
    broken = "bcc_<wbr>iron.<wbr>primitive-<wbr>cell/<wbr>run_<wbr>0001,"
    assert made == f'<span class="long">{broken}</span> R² 0.9 &amp; more'
    assert breakable("Fe2_dense") == "Fe2_dense"
