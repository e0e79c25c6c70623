"""Errors as rows, and their table in the terminal."""

import pytest

from spinpot.report.tables import error_rows, in_loss, label_scale_in_words, print_errors, without_repetition

ERRORS = {
    "rmse_e": 0.001,
    "rmse_fr": 0.02,
    "rmse_fr/Ni": 0.03,
    "rmse_fr/O": 0.01,
    "rmse_fm_transverse": 0.004,
    "rmse_fm_transverse/Ni": 0.004,
    "rmse_v": float("nan"),
}


def test_a_single_element_is_not_said_twice():
    rows = [
        (row.quantity.name, row.element, begins)
        for row, begins in without_repetition(error_rows({"": ERRORS}))
    ]
    assert rows == [
        ("e", None, True),
        ("fr", None, True),
        ("fr", "Ni", False),
        ("fr", "O", False),
        ("fm_transverse", "Ni", True),
    ]


def test_the_terminal_has_every_element(capsys):
    print_errors("Errors", {"model": ERRORS}, trained=["e", "fr"])
    lines = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines() if "│" in line]
    cells = [[cell.strip() for cell in line] for line in lines]
    assert ["O", "10.000", "meV/Å"] in cells
    assert ["Ni", "4.000", "meV/μ_B"] in cells, "of the transverse part"


@pytest.mark.parametrize(
    ("quantity", "trained", "expected"),
    [
        ("fm_transverse", ["fm"], True),
        ("fm_transverse", ["fm_transverse"], True),
        ("fm_longitudinal", ["fm_transverse"], False),
        ("fm", ["fm_transverse"], True),
        ("fm_longitudinal_scaled", ["fm_longitudinal"], True),
        ("fm_scaled", ["fr"], False),
        ("fr", ["fm"], False),
        ("v", None, True),
    ],
)
def test_what_the_loss_had(quantity, trained, expected):
    assert in_loss(quantity, trained) == expected


def test_what_is_compared_is_said_where_it_is_not_plain():
    assert label_scale_in_words(None) == ""
    assert "(Ni 0.8123)" in label_scale_in_words({"Ni": 0.81234})
