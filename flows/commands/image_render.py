"""One picture rendered in this process: read, shown while it is made, stopped by signals, written or rescued."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from flows.commands.image_job import Job, find_own_record
from flows.commands.terminal import Lines
from flows.pairs.listeners import Listener
from flows.pairs.signals import ending_signals, handled
from styletransfer import storage
from styletransfer.errors import Cancelled, ImageError, StorageError, StyleTransferError
from styletransfer.machine.devices import Slot, parse_devices
from styletransfer.pictures.encode import encode
from styletransfer.pictures.formats import Format, extension
from styletransfer.planning.plan import PlannedPair
from styletransfer.records.history import drop_versions, former_versions, keep_replaced
from styletransfer.records.records import Record, write_record
from styletransfer.renders.checkpoints import remove_all
from styletransfer.renders.fetching import Fetched
from styletransfer.renders.rendering import Rendered, stylize_pair
from styletransfer.renders.storing import encoded, record_of

if TYPE_CHECKING:
    from torch import Tensor

    from styletransfer.transfer.stylizer import Progress


def chosen_devices(names: Sequence[str]) -> tuple[str, ...]:
    """Those that share the render. Of `cuda`, which names every GPU, the first."""
    devices = parse_devices(names)
    asked = [name for text in names for name in text.split(",") if name.strip()]
    return devices[: max(1, len(asked))]


class Render:
    """One render that can be stopped by a signal, and shows and previews how far it is."""

    def __init__(
        self, job: Job, fetched: Fetched, lines: Lines, devices: tuple[str, ...], watcher: Listener
    ) -> None:
        self.job = job
        self.fetched = fetched
        self.lines = lines
        self.devices = devices
        self.watcher = watcher
        self.rendered: Rendered | None = None
        self.image: Tensor | None = None
        self._stopped = False
        self._iterations = 0

    def run(self) -> None:
        """Renders. Then `image` is the picture (1, 3, H, W): as far as it got where it was stopped, and there is
        no `rendered`; None if that was before the first iteration."""
        from styletransfer.weights.loading import load_weights

        pair = self.job.pair
        weights = load_weights(self.job.weights.source, last_layer=pair.settings.layers()[-1])
        for listener in (self.lines, self.watcher):
            listener.started(self.fetched.planned, Slot(self.devices))
        with suppress(Cancelled), self._stopped_by_signals():
            self.rendered = stylize_pair(
                self.fetched,
                weights,
                devices=self.devices,
                callback=self._callback,
                resumable=self.job.recorded,
            )
            self.image = self.rendered.image

    def _callback(self, progress: Progress) -> None:
        self._iterations += 1
        self.lines.progress(self.fetched.planned, progress)
        self.watcher.progress(self.fetched.planned, progress)
        if self.job.preview and self._iterations % self.job.save_every == 0:
            self._write_preview(self.job.preview, progress)
        if self._stopped:
            self.image = progress.image()
            raise Cancelled("stopped")

    def _write_preview(self, preview: str, progress: Progress) -> None:
        """A preview that can't be written is no reason to stop."""
        try:
            storage.write(preview, encode(progress.image(), self.job.preview_format))
        except StyleTransferError as error:
            self.lines.note(f"preview not written: {error}")

    @contextmanager
    def _stopped_by_signals(self) -> Iterator[None]:
        """SIGINT, SIGTERM and SIGHUP stop the render after the iteration in hand; a second one at once."""
        numbers = (signal.SIGINT, *ending_signals())

        def stop(_number: int, _frame: FrameType | None) -> None:
            self._stopped = True
            for number in numbers:
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            self.lines.note("stopping after this iteration; once more stops at once, and writes nothing")

        with handled(stop, *numbers):
            yield


def write_result(job: Job, fetched: Fetched, image: Tensor, rendered: Rendered | None) -> bool:
    """Write the picture where and as it was asked for, or else where and as it is not lost; then its record.

    One that was stopped half-way is not `rendered`: it has neither recipe nor record. Tells whether the picture
    that it replaces is kept.
    """
    picture_format, recipe = job.pair.format, rendered.recipe if rendered else None
    try:
        contents = encoded(fetched, image, picture_format, recipe)
    except ImageError as error:
        raise ImageError(f"{error}; {_rescued(job, *_encode_otherwise(fetched, image, error))}") from error
    try:
        if not job.overwrite and storage.exists(job.output):
            raise StorageError(f"{storage.public(job.output)} came while it was rendered, and is left alone")
        before = find_own_record(job)
        fingerprint = rendered.fingerprint if rendered else ""  # half of a picture is another than the whole
        versions, surplus = keep_replaced(job.places, job.pair, fingerprint, before)
        if before is not None:
            storage.delete(job.places.record(job.pair.id))  # it would vouch for another picture
        storage.write(job.output, contents)
    except StorageError as error:
        raise StorageError(f"{error}; {_rescued(job, contents, picture_format)}") from error
    if rendered is not None and job.recorded:
        _keep_record(job, rendered, contents, versions)
        drop_versions(job.places, surplus)
    return before is not None and before in versions


def _keep_record(job: Job, rendered: Rendered, contents: bytes, versions: Sequence[Record]) -> None:
    """Write the record of the picture whose file has these contents; its checkpoints go."""
    record = record_of(rendered, job.output, contents)
    try:
        write_record(
            job.places.record(job.pair.id), record.model_copy(update={"former": former_versions(record, versions)})
        )
    except StorageError as error:
        raise StorageError(f"{storage.public(job.output)} is written, its record is not: {error}") from error
    remove_all(job.places, job.pair.id, rendered.fingerprint)


def is_resumable(job: Job, planned: PlannedPair) -> bool:
    """Whether the same job would go on from a checkpoint."""
    if not job.recorded or planned.fingerprint is None:
        return False
    with suppress(StorageError):
        return storage.exists(job.places.checkpoint(job.pair.id, planned.fingerprint))
    return False


def _encode_otherwise(fetched: Fetched, image: Tensor, error: ImageError) -> tuple[bytes, Format]:
    """The picture in a format that holds every size; `error` when that fails, too."""
    other: Format = "tiff" if fetched.planned.pair.format != "tiff" else "png"
    try:
        return encoded(fetched, image, other), other
    except ImageError:
        raise error from None


def _rescued(job: Job, contents: bytes, file_format: Format) -> str:
    """Write the picture where there is room for it; tells where."""
    name = Path(storage.name(job.output))
    if file_format != job.pair.format:
        name = name.with_suffix(extension(file_format))
    tried = list(dict.fromkeys(_other_folders(job)))
    for folder in tried:
        if rescue := _kept_in(folder, name, contents):
            return f"the picture is kept in {rescue}"
    return f"the picture is lost, as nothing could be written in {', '.join(map(str, tried))} either"


def _other_folders(job: Job) -> Iterator[Path]:
    """Where a picture may go that can't be written where it was asked for; at last to this machine's memory."""
    if storage.is_local(job.output):
        yield Path(storage.parent(job.output))
    yield from (Path(os.environ.get("TMPDIR") or "/tmp"), Path.home(), Path.cwd())  # noqa: S108
    yield from (Path("/var/tmp"), Path("/dev/shm"))  # noqa: S108


def _kept_in(folder: Path, name: Path, contents: bytes) -> Path | None:
    """Where in this folder the picture is now; None, and nothing left of it, if it has no room for it."""
    try:
        rescue = Path(tempfile.mkdtemp(prefix="styletransfer-", dir=folder))
    except OSError:
        return None
    try:
        storage.write(str(rescue / name), contents)
    except StorageError:
        with suppress(OSError):
            rescue.rmdir()
        return None
    return rescue / name
