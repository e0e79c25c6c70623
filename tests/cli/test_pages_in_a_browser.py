"""Each kind of report.html of the real scripts, opened from disk in a real browser."""

import pytest

from support.browser import look
from support.cli import run_script
from support.folders import write_small_set

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Pages of a sweep, of one of its runs, of an evaluation of its checkpoint, of an audit and of labels."""
    folder = tmp_path_factory.mktemp("pages")
    data = write_small_set(folder / "data")
    sweep = folder / "sweep"
    run_script("train.py", "-m", *data, "loss.start_pref_fm=10,1000,20", f"hydra.sweep.dir={sweep}")
    run_script("report.py", str(sweep / "0"))
    (sweep / "2" / "summary.json").unlink()
    run_script("sweep_table.py", str(sweep))
    run_script(
        "evaluate.py",
        f"checkpoint={sweep / '0' / 'checkpoints' / 'best.ckpt'}",
        f"systems=[{folder / 'data' / 'validation'}]",
        f"output={folder / 'evaluation'}",
    )
    run_script("audit.py", f"systems=[{folder / 'data' / 'small'}]", f"output={folder / 'audit'}")
    labels = folder / "labels"
    few = ["recipe.systems.NiO4.frames=4", "recipe.systems.NiO16.frames=0"]
    run_script("label.py", "label=hamiltonian", "recipe=NiO", *few, f"output={labels}")
    return {
        "run": sweep / "0" / "report.html",
        "sweep": sweep / "report.html",
        "evaluation": folder / "evaluation" / "report.html",
        "audit": folder / "audit" / "report.html",
        "labels": labels / "report.html",
    }


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
}


@pytest.mark.parametrize(("width", "dark"), [(400, False), (1200, True)], ids=["phone", "dark"])
@pytest.mark.parametrize("kind", SHOWN)
def test_a_page(pages, tmp_path, kind, width, dark):
    seen = look(pages[kind], tmp_path, width, dark)
    assert seen["window"] == width
    assert seen["content"] <= width, "it must not scroll sideways"
    assert (seen["errors"], seen["refused"], seen["loaded"], seen["console"]) == ([], [], [], [])
    assert seen["images"]
    assert all(image["width"] > 0 for image in seen["images"])
    assert {image["kind"] for image in seen["images"] if image["shown"]} == {"dark" if dark else "light"}
    ground = [int(part) for part in seen["ground"].removeprefix("rgb(").removesuffix(")").split(",")]
    assert (sum(ground) < 150) == dark
    for text in SHOWN[kind]:
        assert text in seen["text"]


def test_a_click_sorts_the_runs(pages, tmp_path):
    click = """
      const rows = () => [...document.querySelectorAll("#table tbody tr")];
      const column = (index) => rows().map((row) => row.cells[index].innerText.trim());
      seen.before = column(1);
      document.querySelectorAll("#table thead button")[1].click();
      seen.after = column(1);
      document.querySelectorAll("#table thead button")[1].click();
      seen.back = column(1);
      document.querySelectorAll("#table thead button")[2].click();
      seen.scores = column(2);
    """
    seen = look(pages["sweep"], tmp_path, then=click)
    assert seen["after"] == ["10", "20", "1000"]
    assert seen["back"] == ["1000", "20", "10"]
    assert sorted(seen["before"], key=float) == seen["after"]
    assert seen["scores"][-1] == "–", "the unfinished stay below"
    assert seen["console"] == []


def test_the_browser_sees_what_is_wrong_with_a_page(tmp_path):
    """Without this, the tests above could not fail."""
    page = tmp_path / "bad.html"
    page.write_text(
        "<!DOCTYPE html><html><head></head><body><img src='http://elsewhere.invalid/a.png' alt='a'>"
        "<img src='data:image/png;base64,AAAA' alt='b'><div style='width: 900px'>wide</div>"
        "<script>console.error('wrong'); undefined_function()</script></body></html>"
    )
    (tmp_path / "look").mkdir()
    seen = look(page, tmp_path / "look", 400)
    assert seen["content"] > 400
    assert [image["width"] for image in seen["images"]] == [0, 0]
    assert any("elsewhere" in name for name in seen["loaded"] + seen["errors"])
    assert any("undefined_function" in message for message in seen["errors"])
    assert seen["console"]
