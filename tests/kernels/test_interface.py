"""interface.h is the only definition of the library's interface."""

from ctypes import c_char_p, c_double, c_int, c_int32, c_int64, c_void_p

from spinpot.kernels.interface import arguments, structure


def test_fields_of_a_struct():
    fields = dict(structure("spinpot_deepspin")._fields_)
    assert list(fields)[:3] == ["single", "threads", "types"]
    assert list(fields)[-2:] == ["embedding_activation", "fitting_activation"]
    assert fields["rcut"] is c_double
    assert fields["chunk"] is c_int64
    assert fields["fitting"] is fields["pair_neighbour"] is c_void_p
    assert fields["fitting_activation"] is c_char_p


def test_arguments_of_functions():
    found = arguments()
    assert found["spinpot_error"] == []
    assert found["spinpot_pair_list_new"] == [c_double, c_void_p]
    assert found["spinpot_all_finite"] == [c_void_p, c_int64, c_int]
    assert found["spinpot_take_pairs"] == [c_void_p, c_void_p, c_int64]


def test_pointers_to_pointers():
    facts = dict(structure("spinpot_model_facts")._fields_)
    assert facts["kind"] is c_char_p
    assert facts["elements"] is c_void_p  # an array of texts
    cluster = dict(structure("spinpot_cluster")._fields_)
    assert cluster["candidates"] is c_void_p
    assert cluster["mask"] is c_int32
