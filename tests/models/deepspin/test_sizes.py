"""sel: determined from the data, or checked against them."""

from dataclasses import replace

import numpy as np
import pytest

from spinpot.core.errors import InputError
from spinpot.data.dataset import FrameDataset
from spinpot.models.deepspin.settings import DescriptorSettings
from spinpot.models.deepspin.sizes import (
    BEYOND_SEL,
    check_rcut,
    excess_of,
    settled_sel,
)
from support.frames import geometry, random_system, small_potential, system


@pytest.fixture(scope="module")
def dataset():
    spec = small_potential().spec
    return FrameDataset([random_system(1, n_frames=3)], geometry(spec)).neighbours


def spec_with(sel):
    spec = small_potential().spec
    return replace(spec, descriptor=DescriptorSettings(rcut=4.0, sel=sel))


def test_auto_has_room_for_every_frame(dataset):
    found = dataset.most_of_elements
    sel = tuple(settled_sel(spec_with("auto"), dataset))
    for room, needed in zip(sel, found, strict=True):
        assert room % 4 == 0
        assert 1.1 * needed <= room < 1.1 * needed + 4


def test_one_number_is_for_every_element(dataset):
    assert settled_sel(spec_with(90), dataset) == [90, 90]


def test_too_small_names_system_element_and_need(dataset):
    found = dataset.most_of_elements
    with pytest.raises(InputError, match=rf"random1, frame \d.*: an atom has {found[0]} neighbours Ni"):
        settled_sel(spec_with((int(found[0]) - 1, int(found[1]))), dataset)


def test_frames_that_did_not_size_the_model_may_have_more(dataset):
    found = dataset.most_of_elements
    assert excess_of(spec_with(tuple(found.tolist())), dataset) is None
    tight = spec_with((int(found[0]) - 1, int(found[1])))
    first = next(k for k, most in enumerate(dataset.most) if max(most[0], most[2]) == found[0])
    said = tight.unlike_training(dataset)
    assert f"[{found[0] - 1}, {found[1]}] is too small for random1, frame {first}" in said
    assert f"an atom has {found[0]} neighbours Ni within 4.0 Å (rcut), and sel is {found[0] - 1}." in said
    assert said.endswith(BEYOND_SEL)


@pytest.mark.parametrize("sel", [(1, 2, 3), (0, 90), (40.5, 90)])
def test_wrong_sel(dataset, sel):
    with pytest.raises(InputError, match=r"model\.descriptor\.sel"):
        settled_sel(spec_with(sel), dataset)


def test_the_neighbours_expected_of_what_is_no_crystal():
    made = random_system(1)
    area = np.linalg.norm(np.cross(made.box[0, 0], made.box[0, 1]))
    limit = (10_000 / (np.pi * 5 / area)) ** (1 / 2)
    slab = replace(made, pbc=(True, True, False))
    slab.coord[:] += slab.box[:, :1] * 100.0
    check_rcut(0.999 * limit, [slab])
    with pytest.raises(InputError, match=r"about 1e\+04 neighbours"):
        check_rcut(1.001 * limit, [slab])
    check_rcut(1e6, [replace(made, box=0.0 * made.box, pbc=(False, False, False))])  # all five of them
    rng = np.random.default_rng(0)
    coord = rng.uniform(0.0, 100.0, (1, 20_000, 3))
    large = system(("Ni",), np.zeros(20_000), np.zeros((1, 3, 3)), coord, 0.0 * coord)
    check_rcut(6.0, [replace(large, pbc=(False, False, False))])


def test_a_cutoff_with_absurdly_many_neighbours():
    made = random_system(1)
    density = 5 / np.linalg.det(made.box[0])
    limit = (10_000 / (4 / 3 * np.pi * density)) ** (1 / 3)
    check_rcut(0.999 * limit, [made])
    with pytest.raises(InputError, match=r"rcut=.*random1 would have about 1e\+04 neighbours.*4 to 10 Å"):
        check_rcut(1.001 * limit, [made])
