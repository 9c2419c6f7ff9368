"""The network, built once per process and shared by all renders that want the same one.

To build it takes filters in both directions, converted and laid out: 130 ms, and 100 MB in float32. It holds
nothing of a render, so threads use one at the same time. What is shared must not be changed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from styletransfer.machine.memory import release_memory
from styletransfer.machine.streams import wait_for
from styletransfer.network.vgg import VGG19

Key = tuple[Any, ...]

_building = threading.Lock()
_in_use: WeakValueDictionary[Key, VGG19] = WeakValueDictionary()  # as long as a render has them, and those kept
_kept: dict[Key, VGG19] = {}  # at most one on each device: on a GPU two may be too many


def shared_network(
    identity: str,
    tensors: Mapping[str, Tensor],
    layers: Sequence[str],
    *,
    devices: Sequence[torch.device | str],
    **options: Any,
) -> VGG19:
    """`VGG19(tensors, layers, devices=devices, **options)`, built unless there is one of the same weights.

    `identity` stands for `tensors`. The last one asked for is kept on its devices for the renders to come; before
    another is built there, the memory of one that no render uses any more is given back.
    """
    names = str(torch.device(devices[0])), str(torch.device(devices[-1]))
    key = (names, identity, tuple(layers), *sorted(options.items()))
    with _building:
        network = _in_use.get(key)
        _drop_others(key)
        if network is None:
            network = VGG19(tensors, layers, devices=devices, **options)
            wait_for(*names)
            _in_use[key] = network
        _kept[key] = network
    return network


def _drop_others(wanted: Key) -> None:
    """Keep no other network on the devices of the one that is wanted."""
    for key in [key for key in _kept if key != wanted and set(key[0]) & set(wanted[0])]:
        del _kept[key]
        release_memory(*key[0])
