"""Each kind of report.html of the real scripts, opened from disk in a real browser."""

import pytest

from support.browser import chromium, look, opened
from support.checkpoints import write_checkpoint
from support.cli import run_script
from support.folders import SMALL, write_npy, write_small_set
from support.frames import random_system, small_potential

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def sweep(browser, place):
    """Of three runs, the last of them unfinished; the first has a page."""
    data = write_small_set(place / "data")
    run_script("train.py", "-m", *data, "loss.start_pref_fm=10,1000,20", f"hydra.sweep.dir={place / 'sweep'}")
    run_script("report.py", str(place / "sweep" / "0"))
    (place / "sweep" / "2" / "summary.json").unlink()
    run_script("sweep_table.py", str(place / "sweep"))
    return place / "sweep"


@pytest.fixture(scope="module")
def run(sweep):
    return sweep / "0"


@pytest.fixture(scope="module")
def evaluation(place, run):
    frames = f"systems=[{place / 'data' / 'validation'}]"
    run_script("evaluate.py", f"checkpoint={run}", frames, f"output={place / 'evaluation'}")
    return place / "evaluation"


@pytest.fixture(scope="module")
def audit(place, sweep):
    run_script("audit.py", f"systems=[{place / 'data' / 'small'}]", f"output={place / 'audit'}")
    return place / "audit"


@pytest.fixture(scope="module")
def analysis(browser, place):
    write_checkpoint(place / "best.ckpt", small_potential())
    write_npy(place / "frames", random_system(3, n_frames=1))
    short = ("task=[rotation,relax]", "task.rotation.points=4", "task.relax.steps=3")
    files = ("checkpoint=best.ckpt", "structure=frames", "output=analysis")
    run_script("analyze.py", *files, *short, cwd=place)
    return place / "analysis"


NIO = ("label=hamiltonian", "recipe=NiO", "recipe.systems.NiO4.frames=4", "recipe.systems.NiO16.frames=0")


@pytest.fixture(scope="module")
def labels(browser, place):
    run_script("label.py", *NIO, f"output={place / 'labels'}")
    return place / "labels"


@pytest.fixture(scope="module")
def learn(place, labels):
    held_out = [f"{part}.systems=[{labels / 'frames' / 'NiO4'}]" for part in ("validation", "test")]
    short = ("learn.rounds=1", "learn.limit=0.01", "exploration.trajectories=1", "exploration.steps=4")
    train = [f"train.{one}" for one in ("model=native_spin", "trainer.max_steps=0", *SMALL["native_spin"])]
    run_script("learn.py", *NIO, *held_out, *short, *train, "exploration.frames=2", "output=learn", cwd=place)
    return place / "learn"


SHOWN = {
    "run": ("Spin potential of Ni and O", "Learning curves", "Run it again"),
    "sweep": ("Sweep over start_pref_fm", "3 runs, 1 of them unfinished", "Validation curves"),
    "evaluation": (
        "Spin potential of Ni and O on 5 frames",
        "rmse per system",
        "Predictions against reference",
    ),
    "labels": ("4 labelled frames of Ni and O", "What is covered", "No frame failed"),
    "audit": ("Labels of Ni and O in 7 frames", "Labels not tested", "Moments and magnetic forces"),
    "analysis": ("by its spin potential", "Rotation of moments", "Relaxation"),
    "learn": ("labels in 1 round", "Force rmse", "Uncertain share", "Failed labels"),
}


@pytest.mark.parametrize("kind", SHOWN)
def test_a_page(kind, browser, request):
    with opened(browser, request.getfixturevalue(kind) / "report.html") as (page, wrong):
        for width, dark in ((400, False), (400, True), (1200, False), (1200, True)):
            check(look(page, width, dark), width, dark, SHOWN[kind])
    assert wrong == []


def check(seen, width, dark, texts):
    assert seen["content"] <= width, "it must not scroll sideways"
    assert seen["pictures"]
    assert all(picture["words"] and picture["width"] > 0 for picture in seen["pictures"])
    kinds = {picture["kind"] for picture in seen["pictures"] if picture["shown"]}
    assert kinds == {"dark" if dark else "light"}
    ground = [int(part) for part in seen["ground"].removeprefix("rgb(").removesuffix(")").split(",")]
    assert (sum(ground) < 150) == dark
    for text in texts:
        assert text in seen["text"]


def test_a_click_sorts_the_runs(browser, sweep):
    with opened(browser, sweep / "report.html") as (page, wrong):

        def column(number):
            return page.locator(f"#table tbody tr > :nth-child({number})").all_inner_texts()

        before, heads = column(2), page.locator("#table thead button")
        heads.nth(1).click()
        assert column(2) == sorted(before, key=float) == ["10", "20", "1000"]
        heads.nth(1).click()
        assert column(2) == ["1000", "20", "10"]
        heads.nth(2).click()
        assert column(3)[-1] == "–", "the unfinished stay below"
    assert wrong == []


def test_the_browser_sees_what_is_wrong_with_a_page(browser, tmp_path):
    """Without this, the tests above could not fail."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<!DOCTYPE html><html><head></head><body><img src='http://elsewhere.invalid/a.png' alt='a'>"
        "<img src='data:image/png;base64,AAAA'><svg width='9' height='9'></svg>"
        "<div style='width: 900px'>wide</div>"
        "<script>console.error('said'); undefined_function()</script></body></html>"
    )
    with opened(browser, bad) as (page, wrong):
        seen = look(page, 400)
    assert seen["content"] > 400
    assert [(one["words"], one["width"]) for one in seen["pictures"]] == [("a", 0), ("", 0), ("", 9)]
    for message in ("said", "undefined_function", "elsewhere.invalid"):
        assert any(message in one for one in wrong)
