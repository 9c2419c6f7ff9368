"""Everything that can go wrong, as one tree.

    StyleTransferError
      UsageError             what was asked for can't be: a name, a moment, a number that there is not
        SettingsError        one or more settings are wrong; all of them are listed
        ManifestError        one or more places of a manifest are wrong; all of them are listed
      ImageError             a picture can't be read or written
      WeightsError           the network's weights can't be had or don't fit
      DeviceError            a device is broken, or is taken
        DeviceInUseError     another process has it
        NoSuchDeviceError    devices that this machine doesn't have, or that don't go together
        OutOfMemoryError     a render does not fit on its device
      StorageError           a file or object can't be read or written
      RecordError            a record can't be read
      Cancelled              a render was asked to stop; nothing is wrong

A message says where, what was found and what is allowed. Errors of other libraries are translated once, at
the boundary, and stay reachable as `__cause__`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from styletransfer.redaction import redacted


class StyleTransferError(Exception):
    """Base of every error that this library raises on purpose. Its text holds no secrets of URLs."""

    def __str__(self) -> str:
        return redacted(super().__str__())


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: its place (`pairs[3].settings.seed`), what, and its line if known."""

    place: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = self.place if self.line is None else f"{self.place} (line {self.line})".strip()
        return redacted(f"{where} {self.message}".strip())


class UsageError(StyleTransferError):
    """Something was asked for that can't be, and won't be when it is asked for again."""


class FaultsError(UsageError):
    """Several faults found in one go; `faults` holds each, the message has one line for each."""

    def __init__(self, faults: Iterable[Fault], source: str = "") -> None:
        self.faults = tuple(faults)
        self.source = source
        prefix = f"{source}: " if source else ""
        super().__init__("\n".join(f"{prefix}{fault}" for fault in self.faults))


class SettingsError(FaultsError):
    """Settings that can't be used."""


class ManifestError(FaultsError):
    """A manifest that can't be used."""


class ImageError(StyleTransferError):
    """A picture that can't be read, or can't be written in the format asked for."""


class WeightsError(StyleTransferError):
    """Weights that can't be had, are damaged or don't have VGG-19's shapes. `transient`: another try can help."""

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class DeviceError(StyleTransferError):
    """A device that isn't there, doesn't work or is in use."""


class DeviceInUseError(DeviceError):
    """A device that another process holds."""


class NoSuchDeviceError(DeviceError, UsageError):
    """Devices that can't be asked for here: unknown, absent, or not to be used together."""


class OutOfMemoryError(DeviceError):
    """A render that doesn't fit on its device."""


class StorageError(StyleTransferError):
    """A file or object that can't be read or written.

    `transient` tells whether another try can help, `of_host` whether another host may find it otherwise: it has
    other mounts, disks, credentials, and another way to the network.
    """

    def __init__(self, message: str, *, transient: bool = False, of_host: bool = False) -> None:
        super().__init__(message)
        self.transient = transient
        self.of_host = of_host or transient


class RecordError(StyleTransferError):
    """A record that is damaged or was written by a newer version."""


def may_be_of_host(error: BaseException) -> bool:
    """Whether an error may be this host's fault: no verdict on what was rendered until another host has met it.

    That is everything (a device, a library, a disk, a missing file, an error of no kind known here) but what the
    bytes of an input, a manifest or a record show wherever they are read, and what a storage says of itself.
    """
    if isinstance(error, StorageError):
        return error.of_host
    return not isinstance(error, ImageError | FaultsError | RecordError)


class Cancelled(StyleTransferError):  # noqa: N818 - not an error, and nobody should report it as one
    """A render stopped because it was asked to."""
