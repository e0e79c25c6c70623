"""The audit of folders: its output, its files and its errors."""

import json
from unittest.mock import ANY

import numpy as np
import pytest

from spinpot.audit.findings import Group
from spinpot.audit.run import AUDIT, _print, audit
from spinpot.core.errors import InputError
from spinpot.data.systems import in_memory, select
from spinpot.report.page import REPORT
from support.folders import labelled_by_a_potential, write_npy
from support.html import Page, assert_self_contained
from support.large import SAMPLE, as_large
from support.nickel_oxide import primitive_nio


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Right frames, some of them again with magnetic forces of 0.8, and frames too few to be tested."""
    place = tmp_path_factory.mktemp("frames")
    right = select(primitive_nio(), np.arange(20))
    write_npy(place / "right", right)
    again = select(primitive_nio(), np.arange(18, 50))
    again.force_mag[:] *= 0.8
    write_npy(place / "scaled & odd", again)
    write_npy(place / "few", labelled_by_a_potential(1, 3))
    return place


@pytest.fixture(scope="module")
def written(folders, tmp_path_factory):
    output = tmp_path_factory.mktemp("audits") / "mine"
    return audit([str(folders)], output), output


def statements(result, severity):
    groups = [group for group in result["findings"] if group["severity"] == severity]
    return {(group["topic"], system): text for group in groups for system, text in group["statements"]}


def test_findings(written):
    result, _ = written
    wrong, look = (statements(result, severity) for severity in ("wrong", "look"))
    assert set(wrong) == {
        ("transverse magnetic forces on Ni and energies", "scaled & odd"),
        ("longitudinal magnetic forces on Ni and energies", "scaled & odd"),
        ("duplicates between systems", "right, scaled & odd"),
        ("duplicates that contradict", "right, scaled & odd"),
    }
    assert "2 of 32 frames" in wrong["duplicates between systems", "right, scaled & odd"]
    assert not [topic for topic, system in look if topic == "labels not tested"]
    assert statements(result, "note") == {("labels not tested", "few"): "fewer than 8 frames."}
    assert result["data"]["frames"] == 55


def test_files(written):
    result, output = written
    stored = json.loads((output / AUDIT).read_text())
    assert stored == json.loads(json.dumps(result))
    factors = stored["systems"]["scaled & odd"]["work"]["factors"]
    assert factors["force_mag/Ni/transverse"]["value"] == pytest.approx(0.8, abs=0.03)
    assert sorted(file.name for file in output.iterdir()) == [AUDIT, REPORT]


def test_page(written):
    result, output = written
    page = Page.of(output / REPORT)
    assert_self_contained(page)
    for text in statements(result, "wrong").values():
        assert text.replace("μ_B", "μ B") in page.text
    table = next(rows for caption, rows in page.tables.items() if caption.startswith("Label over"))
    assert [row[0] for row in table] == ["system", "right", "scaled & odd"]
    value = result["systems"]["right"]["work"]["factors"]["force"]["value"]
    assert table[1][1].startswith(f"{value:.3f} ± ")
    assert "Not tested: few." in page.text


def test_without_output_it_is_only_told(folders, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    audit([str(folders / "few")])
    said = capsys.readouterr().out
    assert "note: labels not tested\n  few: fewer than 8 frames.\n" in said
    assert "look: labels" not in said
    assert "ok: " in said
    assert not list(tmp_path.iterdir())


def test_many_systems_of_a_frame_or_few_are_one_note(tmp_path, capsys):
    for k in range(5):
        write_npy(tmp_path / f"s{k}", labelled_by_a_potential(k, 1 + k))
    result = audit([str(tmp_path)])
    found = [group for group in result["findings"] if group["topic"] == "labels not tested"]
    assert [group["statements"] for group in found] == [[("s0, s1, s2 and 2 more", "fewer than 8 frames.")]]
    assert result["systems"]["s0"]["work"] == {"untestable": "fewer than 8 frames: 1"}
    assert "energies are the same" not in capsys.readouterr().out


def test_nothing_is_overwritten(folders, written):
    _, output = written
    with pytest.raises(InputError, match="is there already"):
        audit([str(folders / "few")], output)


def test_an_output_that_is_a_file(folders):
    file = folders / "few" / "type.raw"
    with pytest.raises(InputError, match="this is a file"):
        audit([str(folders / "few")], file)
    with pytest.raises(InputError, match="cannot write there"):
        audit([str(folders / "few")], file / "in")


def test_findings_on_many_systems_are_counted(capsys):
    many = Group("look", "units", "Look at them.", [(f"s{k}", "in Bohr.") for k in range(25)])
    _print([], [many])
    assert capsys.readouterr().out.splitlines() == [
        "look: units",
        *(f"  s{k}: in Bohr." for k in range(20)),
        "  and 5 more (audit.json with output=DIR).",
        "  → Look at them.",
    ]


def test_of_large_sets_few_frames_are_in_memory_at_once(folders, written, monkeypatch, capsys):
    sizes = as_large(monkeypatch)
    monkeypatch.setattr("spinpot.audit.work.thinned", lambda system, _: in_memory(system))
    found, small = audit([str(folders)]), written[0]
    whole = [size for size in sizes if size > SAMPLE]
    # Of two systems the frames between which the work is done; cells and places, where atoms may be close.
    assert len(whole) == 2 * (6 + 2)
    for one, other in zip(found["findings"], small["findings"], strict=True):
        if one["topic"] != "tilts":
            assert one == other
    assert found["data"] == small["data"]
    assert found["duplicates"] == small["duplicates"]
    for name, numbers in small["systems"].items():
        same_numbers(found["systems"][name], {**numbers, "tilt_median_95_max": ANY})


def same_numbers(one, other):
    if isinstance(other, dict):
        assert one.keys() == other.keys()
        for name in other:
            same_numbers(one[name], other[name])
    elif isinstance(other, float):
        assert one == pytest.approx(other, rel=1e-12)
    else:
        assert one == other
