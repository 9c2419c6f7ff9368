"""A state survives the way through bytes; bytes that are no state are refused."""

import dataclasses
import json
import math
from contextlib import suppress
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from torch import Tensor

from styletransfer.errors import RecordError
from styletransfer.transfer.state import STATE_VERSION, State, checksum, snapshot

quick = settings(deadline=None, max_examples=30)


def random_tensor(seed: int, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (10 * torch.randn(shape, generator=generator)).to(dtype)


tensors = st.builds(
    random_tensor,
    st.integers(0, 2**31),
    st.lists(st.integers(0, 3), max_size=4).map(tuple),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool]),
)
images = st.builds(random_tensor, st.integers(0, 2**31), st.just((1, 3, 2, 4)))
names = st.sampled_from(["a", "b_c", "tensor", "mapping", "0"])
plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
nested = st.recursive(plain | tensors, lambda part: st.lists(part) | st.dictionaries(names, part), max_leaves=5)

states = st.builds(
    State,
    key=names,
    scale_index=st.integers(0, 20),
    iteration=st.integers(1, 1000),
    image=images,
    total=images,
    missing=st.floats(0, 1),
    optimizer=st.dictionaries(names, nested),
    seconds=st.floats(0, 1e9),
    scale_seconds=st.floats(0, 1e9),
    trace=st.lists(st.floats(), max_size=4).map(tuple),
    reports=st.lists(st.dictionaries(names, nested), max_size=2).map(tuple),
)

STATE = State(
    "torch.float32, untiled",
    1, 2, random_tensor(0, (1, 3, 2, 4)), random_tensor(1, (1, 3, 2, 4)), 0.5, {"step": torch.tensor(3.0)}
)


def same(one: Any, other: Any) -> bool:
    """Equal values of equal types, tensors bit by bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) or (isinstance(one, float) and math.isnan(one) and math.isnan(other))


# There and back


@quick
@given(states)
def test_a_state_survives_the_way_through_bytes(state):
    assert same(vars(State.from_bytes(state.to_bytes())), vars(state))


def test_tensors_that_are_views_are_stored_as_what_they_show():
    whole = random_tensor(0, (1, 3, 4, 8))
    state = State("", 0, 1, whole[..., ::2, ::2], whole.mT[..., :2, :], 0.5, {"part": whole[0, 0], "again": whole})
    found = State.from_bytes(state.to_bytes())
    assert torch.equal(found.image, state.image)
    assert torch.equal(found.total, state.total)
    assert same(found.optimizer, state.optimizer)


# What is no state


@quick
@given(st.integers(0, len(STATE.to_bytes()) - 1))
def test_a_file_that_was_cut_off_is_damaged(length):
    with pytest.raises(RecordError, match=r"^checkpoint is damaged: "):
        State.from_bytes(STATE.to_bytes()[:length])


@quick
@given(st.binary())
def test_any_other_file_is_damaged(data):
    with pytest.raises(RecordError, match=r"^checkpoint "):
        State.from_bytes(data)


@quick
@given(st.integers(0, len(STATE.to_bytes()) - 1), st.integers(1, 255))
def test_a_changed_byte_is_found_or_changes_nothing(place, change):
    data = bytearray(STATE.to_bytes())
    data[place] ^= change
    with suppress(RecordError):
        assert same(vars(State.from_bytes(bytes(data))), vars(STATE))


def test_a_changed_number_is_found():
    data = STATE.to_bytes()
    for changed in (data[:-1] + bytes([data[-1] ^ 1]), data.replace(b'scale_index\\": 1', b'scale_index\\": 0')):
        assert changed != data
        with pytest.raises(RecordError, match=r"^checkpoint is damaged: its checksum is another's$"):
            State.from_bytes(changed)


@pytest.mark.parametrize(
    "changes",
    [
        {"scale_index": 1.0},
        {"scale_index": "1"},
        {"iteration": None},
        {"iteration": True},
        {"image": "text"},
        {"total": [STATE.total]},
        {"missing": math.nan},
        {"missing": 1.0},
        {"missing": None},
        {"seconds": math.inf},
        {"seconds": -1.0},
        {"scale_seconds": "1"},
        {"trace": ("1",)},
        {"reports": ()},
    ],
    ids=str,
)
def test_a_state_with_values_that_can_not_be_is_damaged(changes):
    whole = dataclasses.replace(STATE, reports=({},))
    whole.check()
    with pytest.raises(RecordError, match=r"^checkpoint is damaged: "):
        dataclasses.replace(whole, **changes).check()


def file_with(values: object, version: str = str(STATE_VERSION)) -> bytes:
    tensors, text = {"image": STATE.image}, json.dumps(values)
    return save(tensors, {"state_version": version, "values": text, "sha256": checksum(tensors, text)})


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        {},
        {"scale_index": 1},
        {"reports": [], "trace": [], "surprise": 1},
        {"reports": [], "trace": [], "image": {"tensor": "missing"}},
        {"reports": [], "trace": [], "image": {"tensor": ["image"]}},
        {"reports": [], "trace": [], "optimizer": {"mapping": 3}},
        {"reports": [], "trace": [], "optimizer": {}},
        {"reports": 1, "trace": 2},
    ],
)
def test_values_that_make_no_state_are_damaged(values):
    with pytest.raises(RecordError, match=r"^checkpoint is damaged: "):
        State.from_bytes(file_with(values))


@pytest.mark.parametrize(
    "header",
    [b"[" * 100_000, b"[]", b"{}", b'"text"', b'{"__metadata__": "text"}', b'{"__metadata__": {}}'],
    ids=lambda header: header[:20],
)
def test_a_header_without_our_metadata_is_no_state(header):
    with pytest.raises(RecordError, match=r"^checkpoint "):
        State.from_bytes(len(header).to_bytes(8, "little") + header)


def test_another_version_is_refused_and_named():
    with pytest.raises(RecordError, match=rf"^checkpoint has version 99; must be {STATE_VERSION}$"):
        State.from_bytes(file_with({}, version="99"))


def test_what_went_wrong_stays_reachable():
    with pytest.raises(RecordError) as caught:
        State.from_bytes(b"")
    assert caught.value.__cause__ is not None


# Snapshots


def test_a_snapshot_has_no_part_in_later_changes():
    tensor, numbers = torch.ones(3), [1.0, torch.zeros(2)]
    found = snapshot({"tensor": tensor, "numbers": numbers, "none": None})
    tensor.zero_()
    numbers.append(2.0)
    assert same(found, {"tensor": torch.ones(3), "numbers": [1.0, torch.zeros(2)], "none": None})
