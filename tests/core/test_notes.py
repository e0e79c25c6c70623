from spinpot.core.notes import Notes, shortened


def test_a_line_about_many_places_is_one_line():
    notes = Notes()
    for number in range(400):
        notes.add("forces.npy: read as force", f"system_{number}")
    notes.add("energies in float32")
    assert list(notes) == [
        "forces.npy: read as force (system_0, system_1, system_2 and 397 more)",
        "energies in float32",
    ]


def test_a_place_is_named_once():
    notes = Notes()
    notes.add("a column is not used", "train.xyz")
    notes.add("a column is not used", "train.xyz")
    assert list(notes) == ["a column is not used (train.xyz)"]


def test_print_says_all_and_forgets(capsys):
    notes = Notes()
    notes.add("first", "[a]")
    notes.add("second")
    notes.print()
    assert capsys.readouterr().out == "first ([a])\nsecond\n"
    assert list(notes) == []


def test_short_lists_are_named_in_full():
    assert shortened(["a", "b"]) == "a, b"
