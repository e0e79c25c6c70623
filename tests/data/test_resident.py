"""A data set on a device gives the same batches as collate, with a padding frame."""

from weakref import ref

import pytest
import torch

from spinpot import kernels
from spinpot.data.dataset import FrameDataset
from spinpot.data.resident import PaddedBatch, ResidentFrames, StreamedFrames, rounded_up
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.loss.metrics import ErrorMetric
from support.frames import geometry, random_system, small_potential, with_random_labels
from support.losses import loss_and_terms

PER_ATOM = ("frame", "types", "spin", "neighbour_counts", "force", "force_mag")
PER_PAIR = ("pair_centre", "pair_neighbour", "pair_type", "pair_vector")
PER_FRAME = ("n_atoms", "energy", "virial")


@pytest.fixture
def frames():
    """Of unequal size and composition, one element missing in some."""
    systems = [
        with_random_labels(random_system(1, n_frames=3), seed=1),
        with_random_labels(random_system(2, n_frames=2, n_ni=1, n_o=4), seed=2),
        with_random_labels(random_system(3, n_ni=0, n_o=2), seed=3, only=("energy", "force")),
        with_random_labels(random_system(4, n_ni=7, n_o=0), seed=4, only=("energy", "force_mag")),
    ]
    return FrameDataset(systems, geometry(small_potential().spec))


def padded(frames, numbers):
    resident = ResidentFrames.of(frames, "cpu")
    return resident.batch(torch.tensor(numbers), resident.shape(numbers))


@pytest.mark.parametrize("numbers", [[0], [4, 1, 3], [6, 5], [5, 5, 0, 6], [5]])
def test_the_batch_begins_with_the_frames(frames, numbers):
    batch, expected = padded(frames, numbers), frames.batch(numbers)
    for names, size in (
        (PER_ATOM, len(expected.types)),
        (PER_PAIR, len(expected.pair_type)),
        (PER_FRAME, expected.n_frames),
    ):
        for name in names:
            torch.testing.assert_close(
                getattr(batch, name)[:size], getattr(expected, name), rtol=0, atol=0, equal_nan=True, msg=name
            )
    assert torch.equal(batch.pair_start[: len(expected.types)], expected.pair_start[:-1])


@pytest.mark.parametrize("numbers", [[0], [4, 1, 3], [6, 5], [5]])
def test_what_pads_is_a_batch_too(frames, numbers):
    batch, expected = padded(frames, numbers), frames.batch(numbers)
    real_atoms, real_pairs = len(expected.types), len(expected.pair_type)
    assert batch.n_frames == expected.n_frames + 1
    assert int(batch.n_atoms.sum()) == len(batch.types) > real_atoms
    assert (batch.frame[real_atoms:] == expected.n_frames).all()
    assert batch.types.bincount(minlength=2).tolist() == batch.type_sizes
    assert torch.equal(batch.types[batch.atom_order], batch.types.sort().values)
    assert torch.equal(batch.atom_order[batch.atom_place], torch.arange(len(batch.types)))
    assert int(batch.pair_start[-1]) == len(batch.pair_type)
    assert (batch.pair_centre[real_pairs:] >= real_atoms).all()
    assert (batch.pair_neighbour[real_pairs:] >= real_atoms).all()
    for name in ("energy", "virial"):
        assert getattr(batch, name)[-1].isnan().all()
    for name in ("force", "force_mag"):
        assert getattr(batch, name)[real_atoms:].isnan().all()


@pytest.mark.parametrize("time_reversal", [False, True])
@pytest.mark.parametrize("numbers", [[2, 4, 0], [5, 6, 1]])
def test_loss_gradients_and_errors_do_not_see_it(frames, numbers, time_reversal):
    potential = small_potential(time_reversal=time_reversal)
    if time_reversal:
        frames = FrameDataset(frames.systems, geometry(potential.spec))
    loss = EnerSpinLoss(start_pref_v=1.0, limit_pref_v=1.0)
    found = []
    for batch in (padded(frames, numbers), frames.batch(numbers)):
        potential.zero_grad()
        errors = ErrorMetric(("Ni", "O"), (True, False))
        with kernels.without():
            prediction = potential(batch, differentiable=True)
        value, _ = loss_and_terms(loss, prediction, batch, torch.tensor([True, False]), 0.5)
        value.backward()
        errors.update(prediction, batch)
        gradients = torch.cat([p.grad.flatten() for p in potential.parameters()])
        found.append((value.detach(), gradients, errors.compute()))
    (value, gradients, errors), (expected, expected_gradients, expected_errors) = found
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    scale = float(expected_gradients.abs().max())
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-9, atol=1e-12 * scale)
    assert errors == pytest.approx(expected_errors, rel=1e-12)


@pytest.mark.parametrize("numbers", [[0], [4, 1, 3], [5, 5, 0, 6]])
def test_a_padded_batch_is_that_of_resident_frames(frames, numbers):
    own, expected = PaddedBatch.of(frames.batch(numbers)), padded(frames, numbers)
    assert own.shape == ResidentFrames.of(frames, "cpu").shape(numbers)
    assert own.origin == frames.batch(numbers).origin
    for name in (*PER_ATOM, *PER_PAIR, *PER_FRAME, "pair_start", "atom_order", "atom_place"):
        torch.testing.assert_close(
            getattr(own.batch, name), getattr(expected, name), rtol=0, atol=0, equal_nan=True, msg=name
        )


def test_a_batch_whose_frames_were_all_left_out_has_no_labels(frames):
    batch = PaddedBatch.of(frames.batch([])).batch
    assert batch.n_frames == 2
    assert batch.energy.isnan().all()
    assert batch.force.isnan().all()
    with kernels.without():
        prediction = small_potential()(batch, differentiable=True)
    value, _ = loss_and_terms(EnerSpinLoss(), prediction, batch, torch.tensor([True, False]), 0.5)
    assert value == 0.0


def test_streamed_batches_of_a_shape_lie_in_one_place(frames):
    streamed = StreamedFrames([9.0, 9.0], "cpu")
    first, other = (PaddedBatch.of(frames.batch(numbers)) for numbers in ([0, 1, 3], [2, 0, 4]))
    assert first.shape == other.shape
    place, shape = streamed.load(first)
    centres = streamed.batch(place, shape).pair_centre
    again, _ = streamed.load(other)
    assert again is place
    found = streamed.batch(again, shape)
    assert torch.equal(found.pair_centre, other.batch.pair_centre)
    assert not torch.equal(found.pair_centre, centres)
    assert torch.equal(found.spin, other.batch.spin)
    assert first.batch.spin.data_ptr() != place.spin.data_ptr()
    assert found.closest == [min(pair) for pair in zip(first.batch.closest, other.batch.closest, strict=True)]


def test_a_place_that_nothing_reads_is_freed(frames):
    streamed = StreamedFrames([9.0, 9.0], "cpu")
    read, unread = (streamed.load(PaddedBatch.of(frames.batch(numbers)))[0] for numbers in ([0], [4, 1, 3]))
    kept, freed = ref(read), ref(unread)
    del unread
    assert kept() is read
    assert freed() is None


def test_frames_of_about_the_same_size_have_one_shape(frames):
    """So that a step is recorded for few of them."""
    resident = ResidentFrames.of(frames, "cpu")
    assert resident.shape([0, 1, 3]) == resident.shape([2, 0, 4])


def test_sizes_that_batches_are_padded_to():
    assert [rounded_up(n) for n in (0, 1, 7, 15, 16, 17, 33, 36, 37, 1000)] == [
        0, 1, 7, 15, 16, 18, 36, 36, 40, 1024,
    ]  # fmt: skip
    sizes = {rounded_up(n) for n in range(1024, 2048)}
    assert len(sizes) == 9
    assert all(n <= rounded_up(n) <= 1.125 * n for n in range(1, 5000))
