"""One picture rendered in this process: read, shown while it is made, stopped by signals, written or rescued."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from flows.commands.image_job import Job
from flows.commands.terminal import Lines
from flows.pairs.signals import ending_signals
from styletransfer import storage
from styletransfer.errors import (
    Cancelled,
    ImageError,
    NoSuchDeviceError,
    StorageError,
    StyleTransferError,
)
from styletransfer.limits import PICTURE_BYTES, PROFILE_BYTES
from styletransfer.machine.devices import Slot, parse_devices
from styletransfer.pictures.decode import decode
from styletransfer.pictures.encode import encode
from styletransfer.pictures.formats import Format, extension
from styletransfer.pictures.picture import Picture
from styletransfer.pictures.soft_proof import soft_proof
from styletransfer.settings import Settings
from styletransfer.sizes import Size, resolve_end_scale, size_to_fit
from styletransfer.transfer.schedule import Work

if TYPE_CHECKING:
    from torch import Tensor

    from styletransfer.transfer.stylizer import Progress


@dataclass(frozen=True)
class DisplayedImage:
    """What the display shows of the job."""

    id: str
    size: Size
    scales: tuple[int, ...]
    iterations: int


def chosen_devices(names: Sequence[str]) -> tuple[str, ...]:
    """One device or two. Of `cuda`, which names every GPU, the first."""
    devices = parse_devices(names)
    asked = [name for text in names for name in text.split(",") if name.strip()]
    if len(asked) > 2:
        raise NoSuchDeviceError(f"devices {', '.join(asked)}: one picture is rendered on one device, or on two")
    return devices[: max(1, len(asked))]


def read_pictures(locations: Sequence[str], settings: Settings) -> list[Picture]:
    """The pictures at these locations as the settings want them; ImageError tells of all that can't be had."""
    proof = settings.proof
    profile = None if proof is None else storage.read(proof, limit_bytes=PROFILE_BYTES)
    pictures, faults = {}, []
    for location in dict.fromkeys(locations):
        try:
            data = storage.read(location, limit_bytes=PICTURE_BYTES)
            picture = decode(data, storage.public(location), alpha=settings.alpha)
            pictures[location] = picture if profile is None else soft_proof(picture, profile, proof or "")
        except (ImageError, StorageError) as error:
            faults.append(str(error))
    if faults:
        raise ImageError("\n".join(faults))
    return [pictures[location] for location in locations]


class Render:
    """One render that can be stopped by a signal, and shows and previews how far it is."""

    def __init__(self, job: Job, lines: Lines, devices: tuple[str, ...]) -> None:
        self.job = job
        self.lines = lines
        self.devices = devices
        self.stopped = False
        self._image: Tensor | None = None
        self._iterations = 0
        self._content: Picture | None = None
        self._shown: DisplayedImage | None = None

    def run(self, content: Picture, styles: Sequence[Picture], start: Picture | None) -> Tensor | None:
        """The picture (1, 3, H, W), as far as it got if `stopped`; None without a first iteration."""
        from styletransfer.renders import stylize
        from styletransfer.renders.weights_loading import load_weights

        settings = self.job.settings
        weights = load_weights(self.job.weights, last_layer=settings.layers()[-1])
        self._shown, self._content = shown(self.job, content), content
        self.lines.started(self._shown, Slot(self.devices))
        stylizer = stylize.make_stylizer(weights, settings, self.devices)
        try:
            with self._stopped_by_signals():
                return stylize.run(
                    stylizer, content, styles, self.job.style_weights, start=start, callback=self._callback
                )
        except Cancelled:
            return self._image

    def _callback(self, progress: Progress) -> None:
        assert self._shown is not None
        self._iterations += 1
        self.lines.progress(self._shown, progress)
        if self.job.preview and self._iterations % self.job.save_every == 0:
            self._write_preview(self.job.preview, progress)
        if self.stopped:
            self._image = self._so_far(progress)
            raise Cancelled("stopped")

    def _so_far(self, progress: Progress) -> Tensor:
        from styletransfer.renders.stylize import finish

        assert self._content is not None
        return finish(progress.image(), self._content, self.job.settings)

    def _write_preview(self, preview: str, progress: Progress) -> None:
        """A preview that can't be written is no reason to stop."""
        try:
            storage.write(preview, encode(self._so_far(progress), self.job.preview_format))
        except StyleTransferError as error:
            self.lines.note(f"preview not written: {error}")

    @contextmanager
    def _stopped_by_signals(self) -> Iterator[None]:
        """SIGINT, SIGTERM and SIGHUP stop the render after the iteration in hand; a second one at once."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, *ending_signals())}

        def stop(_number: int, _frame: FrameType | None) -> None:
            self.stopped = True
            for number in before:
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            self.lines.note("stopping after this iteration; once more stops at once, and writes nothing")

        for number in before:
            signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def shown(job: Job, content: Picture) -> DisplayedImage:
    """What the display shows of the job with this content."""
    settings = job.settings
    scales = settings.pyramid(resolve_end_scale(settings.end_scale, content.size))
    iterations = sum(Work.of(settings, content.size, scales).iterations)
    size = size_to_fit(content.size, scales[-1], enlarge=True)
    return DisplayedImage(storage.name(job.output), size, scales, iterations)


def write_result(job: Job, image: Tensor, content: Picture) -> None:
    """Write the picture where and as it was asked for, or else where and as it is not lost."""
    try:
        contents = _encoded(image, job.format, content)
    except ImageError as error:
        raise ImageError(f"{error}; {_rescued(job, *_encode_otherwise(job, image, content, error))}") from error
    try:
        storage.write(job.output, contents)
    except StorageError as error:
        raise StorageError(f"{error}; {_rescued(job, contents, job.format)}") from error


def _encoded(image: Tensor, file_format: Format, content: Picture) -> bytes:
    """A file with the content's resolution, and its transparency where that is kept."""
    height, width = image.shape[-2:]
    return encode(image, file_format, content.dpi, content.alpha_at((width, height)))


def _encode_otherwise(job: Job, image: Tensor, content: Picture, error: ImageError) -> tuple[bytes, Format]:
    """The picture in a format that holds every size; `error` when that fails, too."""
    other: Format = "tiff" if job.format != "tiff" else "png"
    try:
        return _encoded(image, other, content), other
    except ImageError:
        raise error from None


def _rescued(job: Job, contents: bytes, file_format: Format) -> str:
    """Write the picture where there is room for it; tells where."""
    name = Path(storage.name(job.output))
    if file_format != job.format:
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
