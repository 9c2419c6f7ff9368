"""A render that runs out of memory goes on by a cheaper plan, from where it stood, or says where it ended."""

import weakref

import pytest
import torch

from styletransfer.errors import OutOfMemoryError
from styletransfer.machine.hardware import Hardware
from styletransfer.network.vgg_weights import Weights
from styletransfer.objective.objective import Objective
from styletransfer.pictures.picture import Picture
from styletransfer.settings import Settings
from styletransfer.transfer.memory_ladder import MemoryLadder
from styletransfer.transfer.schedule import scales_of
from styletransfer.transfer.stylizer import Stylizer
from tests.networks import shallow_network
from tests.transfer.small_renders import QUICK


class Cramped:
    """An objective on a device whose memory holds no picture whole."""

    def __init__(self, objective):
        self.objective, self.tiling = objective, None
        self.held = []

    def __getattr__(self, name):
        return getattr(self.objective, name)

    def value_and_gradient(self, image, targets):
        assert all(features() is None for features in self.held), "a failed try still holds its memory"
        if self.tiling is None or self.tiling.blocks < 3:
            features = torch.zeros(3)
            self.held.append(weakref.ref(features))
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.objective.tiling = self.tiling
        return self.objective.value_and_gradient(image, targets)


def _rendered(tiles="auto", wrap=None):
    settings = Settings(
        end_scale=64,
        min_scale=45,
        initial_iterations=2,
        iterations=2,
        tiles=tiles,
        precision="float64",
        content_layers=("relu2_2",),
        style_layers={"relu1_1": 1.0, "relu3_1": 1.0},
    )
    stylizer = Stylizer(Weights("random", "random", shallow_network()), settings)
    if wrap:
        stylizer.objective = wrap(stylizer.objective)
    noise = torch.randint(0, 256, (64, 48, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    picture = Picture(noise.numpy())
    return stylizer, stylizer.run(picture, [picture], [1.0])


def test_out_of_memory_goes_on_in_tiles_from_where_it_stood(caplog):
    _, whole = _rendered()
    stylizer, image = _rendered(wrap=Cramped)
    torch.testing.assert_close(image, whole, rtol=0, atol=1e-9)
    assert "out of memory at scale 45 (34x45 px) on cpu; going on with blocks 1-2 in tiles of" in caplog.text
    assert [report.tiling["blocks"] for report in stylizer.scales_report] == [3, 3]


def test_out_of_memory_with_nothing_cheaper_left_says_where():
    with pytest.raises(OutOfMemoryError, match=r"out of memory at scale 45 \(34x45 px\) on cpu"):
        _rendered(tiles="off", wrap=Cramped)


def test_tiles_of_a_fixed_size_change_nothing():
    torch.testing.assert_close(_rendered(tiles=16)[1], _rendered(tiles="off")[1], rtol=0, atol=1e-9)


def test_a_render_that_can_not_fit_ends_before_it_begins(monkeypatch):
    monkeypatch.setattr(Hardware, "free_memory", lambda self, device: 10 * 2**20)
    with pytest.raises(OutOfMemoryError, match="need about"):
        _rendered()


# The ladder alone

SETTINGS = Settings.model_validate(QUICK)
SCALES = scales_of(SETTINGS, (64, 48))


@pytest.fixture
def adopted():
    """The plans that were taken, in order."""
    return []


@pytest.fixture
def ladder(adopted):
    objective = Objective(shallow_network("relu2_1"), SETTINGS)
    return MemoryLadder(objective, SETTINGS, SCALES, ("cpu",), 4, adopted.append)


def test_each_failed_try_takes_one_step_down(ladder, adopted):
    tries = iter([torch.OutOfMemoryError("CUDA out of memory"), torch.OutOfMemoryError("CUDA out of memory"), None])

    def compute():
        error = next(tries)
        if error is not None:
            raise error
        return "done"

    ladder.enter(SCALES[0])
    assert ladder.fit(compute) == "done"
    whole, first, second = adopted
    assert whole.tiling is None
    assert (first.tiling.edge, first.tiling.blocks) == (1024, 2)
    assert (second.tiling.edge, second.tiling.blocks) == (512, 2)
    assert ladder.plan(SCALES[0]) == second
    assert ladder.plan(SCALES[1]) == whole  # a scale that did not fail is tried as it was planned


def test_what_is_no_want_of_memory_passes(ladder, adopted):
    def fail():
        raise RuntimeError("shapes do not match")

    ladder.enter(SCALES[0])
    with pytest.raises(RuntimeError, match="shapes do not match"):
        ladder.fit(fail)
    with pytest.raises(RuntimeError, match="shapes do not match"), ladder.out_of_memory_told():
        fail()
    assert len(adopted) == 1


def test_the_end_of_the_ladder_names_the_largest_scale_that_completed(ladder):
    def fail():
        raise torch.OutOfMemoryError("CUDA out of memory")

    ladder.enter(SCALES[1])
    message = r"^out of memory at scale 24 \(24x18 px\) on cpu; the largest scale that completed is 17 px$"
    with pytest.raises(OutOfMemoryError, match=message):
        ladder.fit(fail)
