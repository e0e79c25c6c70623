"""Tables of systems: small sets by system, large ones by elements, all within 80 columns."""

import re

import numpy as np
import pytest

from spinpot.data.description import describe_system
from spinpot.report.systems_table import print_systems, rows_of
from support.frames import system

ELEMENTS = ("Fe", "Ni", "Mn", "Co", "O")
MOMENTS = np.array([2.2, 0.6, 3.0, 1.6, 0.0])
LABELS = ("energy", "force", "force_mag")


def made(number, n_frames=2):
    """A system of some of five elements, every seventh without magnetic forces."""
    rng = np.random.default_rng(number)
    types = np.sort(rng.integers(0, 5, rng.integers(2, 7)))
    moments = np.tile([0.0, 0.0, 1.0], (n_frames, len(types), 1)) * MOMENTS[types][:, None]
    vectors = np.zeros((n_frames, len(types), 3))
    labels = {"energy": np.zeros(n_frames), "force": vectors, "force_mag": vectors}
    if number % 7 == 0:
        del labels["force_mag"]
    box = np.tile(5.0 * np.eye(3), (n_frames, 1, 1))
    name = f"round.{number // 20:05d}-dft-sys.{number % 20:02d}"
    return system(ELEMENTS, types, box, vectors, moments, name=name, **labels)


@pytest.fixture
def printed(capsys, monkeypatch):
    """The lines of a table in a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def of(sets):
        print_systems("Data", {name: [*map(describe_system, systems)] for name, systems in sets.items()})
        return capsys.readouterr().out.splitlines()

    return of


def cells(lines):
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]


def test_four_hundred_systems_of_five_elements(printed):
    sets = {"train": [made(k) for k in range(400)], "validation": [made(k) for k in range(400, 450)]}
    lines = printed(sets)
    assert max(map(len, lines)) <= 80
    assert len(lines) < 50
    assert not any("…" in line for line in lines)
    rows = [row for row in cells(lines) if row[0] in sets]
    for name, systems in sets.items():
        own = [row for row in rows if row[0] == name]
        assert len(own) <= 12
        assert sum(int(row[1].split()[0]) for row in own) == len(systems)
        assert sum(int(row[2]) for row in own) == 2 * len(systems)
    assert all(
        re.fullmatch(r"[A-Z][A-Za-z ]+, \d(–\d)? atoms", row[3]) for row in rows if "others" not in row[3]
    )
    others = [row for row in rows if row[3].startswith("others (")]
    assert [row[4] for row in others] == ["E F (Fm)", "E F (Fm)"]
    assert ["Fe", "2.200–2.200", "2.200–2.200"] in cells(lines)


def test_a_small_set_names_each_system(printed):
    spin = [[[0.0, 0.0, 2.2], [0.0, 0.0, 2.2], [0.0] * 3]]
    labels = {"energy": np.zeros(1), "force": np.zeros((1, 3, 3)), "force_mag": np.zeros((1, 3, 3))}
    box = np.eye(3)[None]
    first = system(ELEMENTS, [0, 0, 4], box, np.zeros((1, 3, 3)), spin, name="[the]-first", **labels)
    other = system(ELEMENTS, [4, 4], box, np.zeros((1, 2, 3)), np.zeros((1, 2, 3)), name="other")
    assert cells(printed({"train": [first], "test": [other]})) == [
        ["train", "[the]-first", "1", "Fe2O1", "E F Fm", "Fe 2.200–2.200"],
        ["test", "other", "1", "O2", "none", ""],
    ]


def test_wide_rows_fold_and_lose_nothing(printed):
    long = [made(k) for k in range(3)]
    sets = {"validation": [long[0], *long]}
    lines = printed(sets)
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)


def row(name, formula, frames=1, labels=LABELS, **moments):
    return {
        "name": name,
        "formula": formula,
        "frames": frames,
        "atoms": sum(map(int, re.findall("[0-9]+", formula))),
        "labels": list(labels),
        "moments": moments,
    }


def test_few_systems_are_rows_of_their_own():
    systems = [row("a", "Fe2"), row("b", "Fe2")]
    assert rows_of(systems, most=2) == systems


def test_many_are_grouped_by_elements_and_labels():
    systems = [
        row("a", "Fe2O1", 3, Fe=[2.0, 2.1]),
        row("b", "Fe4O4", 2, Fe=[1.9, 2.0]),
        row("c", "Fe2", 9),
        row("d", "Fe1O1", 1, ("energy",)),
    ]
    first, second, third = rows_of(systems, most=3)
    assert (first["name"], first["formula"], first["frames"]) == ("1 system", "Fe", 9)
    assert second == {
        "name": "2 systems",
        "formula": "Fe O",
        "frames": 5,
        "atoms": "3–8",
        "labels": list(LABELS),
        "partly": [],
        "moments": {"Fe": [1.9, 2.1]},
        "systems": 2,
    }
    assert (third["labels"], third["partly"]) == (["energy"], [])


def test_the_rest_is_counted():
    systems = [row("a", "Fe2", 3), row("b", "Ni2", 2), row("c", "Mn2", 2, ("energy",)), row("d", "Mn1O1")]
    first, rest = rows_of(systems, most=2, groups=2)
    assert first["formula"] == "Fe"
    assert (rest["name"], rest["formula"], rest["frames"]) == ("3 systems", "others (3 sets)", 5)
    assert (rest["labels"], rest["partly"]) == (["energy"], ["force", "force_mag"])
