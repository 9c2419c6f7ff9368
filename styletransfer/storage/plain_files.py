"""Files in a local folder as they stand there, no link followed: listed, and removed one by one.

Who removes files by name and place must not be led elsewhere by a link, nor by one that is put there between the
look and the removal: each folder is opened from the one above it, and links are refused by the system itself.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from styletransfer.errors import StorageError

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY
_LINK: Final = "it is a link"
_NO_FOLDER: Final = "it is a link, or no folder"


@dataclass(frozen=True)
class PlainFile:
    """A regular file that has this name alone. Times in seconds since 1970."""

    name: str
    bytes: int
    modified: float
    used: float


@dataclass(frozen=True)
class Listing:
    """What lies in a folder: plain files, folders by name, and for anything else its path and what it is."""

    files: tuple[PlainFile, ...] = ()
    folders: tuple[str, ...] = ()
    odd: tuple[tuple[str, str], ...] = ()


def listed(base: str, *folders: str) -> Listing:
    """What lies in the folder that `folders` lead to, one in another, from `base`. Empty if it isn't there.

    `base` itself may be reached through links: whoever named it meant what it leads to. Raises StorageError for
    what can't be looked at.
    """
    path = Path(base, *folders)
    try:
        with _entered(base, folders) as descriptor:
            return _listing(path, descriptor)
    except FileNotFoundError:
        return Listing()
    except NotADirectoryError:
        return Listing(odd=((str(path), _NO_FOLDER),))
    except OSError as error:
        raise _translated("look into", path, error) from error


def removed(base: str, *parts: str) -> bool:
    """Remove the plain file that `parts` lead to from `base`; False where there is none any more.

    Raises StorageError, and leaves what is there, if on the way or at its end stands a link or no plain file.
    """
    path = Path(base, *parts)
    try:
        with _entered(base, parts[:-1]) as descriptor:
            fault = _fault(os.stat(parts[-1], dir_fd=descriptor, follow_symlinks=False))
            if fault:
                raise StorageError(f"cannot delete {str(path)!r}: {fault}")
            os.unlink(parts[-1], dir_fd=descriptor)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _translated("delete", path, error) from error
    return True


@contextmanager
def _entered(base: str, folders: Sequence[str]) -> Iterator[int]:
    """Descriptor of the folder; NotADirectoryError where one of `folders` is a link or none."""
    descriptor = os.open(base, _FOLDER)
    try:
        for name in folders:
            try:
                inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
            except OSError as error:
                if error.errno == errno.ELOOP:  # how some systems tell a link; others tell that it is no folder
                    raise NotADirectoryError(errno.ENOTDIR, _NO_FOLDER, name) from error
                raise
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _listing(path: Path, descriptor: int) -> Listing:
    files, folders, odd = [], [], []
    for name in sorted(os.listdir(descriptor)):
        try:
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:  # gone since
            continue
        if stat.S_ISDIR(status.st_mode):
            folders.append(name)
        elif fault := _fault(status):
            odd.append((str(path / name), fault))
        else:
            used = max(status.st_mtime, status.st_atime)
            files.append(PlainFile(name, status.st_size, status.st_mtime, used))
    return Listing(tuple(files), tuple(folders), tuple(odd))


def _fault(status: os.stat_result) -> str | None:
    """What keeps this from being a plain file; None if nothing does."""
    if stat.S_ISLNK(status.st_mode):
        return _LINK
    if not stat.S_ISREG(status.st_mode):
        return "it is no file"
    return "it has another name elsewhere, too" if status.st_nlink > 1 else None


def _translated(action: str, path: Path, error: OSError) -> StorageError:
    reason = _NO_FOLDER if isinstance(error, NotADirectoryError) else os.strerror(error.errno or 0)
    return StorageError(f"cannot {action} {str(path)!r}: {reason}", of_host=True)
