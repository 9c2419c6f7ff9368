"""Files on every kind of storage: what is the same everywhere."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from styletransfer import storage
from styletransfer.errors import StorageError

ODD_NAMES = [
    "plain.png",
    "with space.png",
    "größe 日本.png",
    "a#b.png",
    "100%.png",
    "why?.png",
    "%20.png",
    "a'b\".png",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_what_is_written_is_read_back_under_any_name(folder, name):
    url = storage.join(folder, "deep", name)
    storage.write(url, b"contents")
    assert storage.read(url) == b"contents"
    assert storage.exists(url)
    assert storage.stat(url).size == 8
    assert storage.name(url) == name
    assert storage.glob(storage.join(folder, "deep", "*")) == [url]


def test_writing_again_replaces(folder):
    url = storage.join(folder, "a.bin")
    storage.write(url, b"old and longer")
    storage.write(url, memoryview(b"new"))
    assert storage.read(url) == b"new"


def test_a_deleted_file_is_gone_and_deleting_it_again_does_nothing(folder):
    url = storage.join(folder, "a.bin")
    storage.write(url, b"x")
    storage.delete(url)
    storage.delete(url)
    assert not storage.exists(url)
    assert storage.read_if_exists(url) is None


def test_a_missing_file_is_a_lasting_error_that_names_it(folder):
    url = storage.join(folder, "none.bin")
    with pytest.raises(StorageError, match=r"cannot read .*none\.bin: there is no such") as caught:
        storage.read(url)
    assert not caught.value.transient
    assert caught.value.__cause__ is not None
    with pytest.raises(StorageError, match=r"cannot look at .*none\.bin: there is no such"):
        storage.stat(url)


GLOBS = {
    "in/*.jpg": ["in/a.jpg", "in/b [2].jpg", "in/b.jpg"],
    "in/?.jpg": ["in/a.jpg", "in/b.jpg"],
    "in/[b-z].jpg": ["in/b.jpg"],
    "*/*.jpg": ["in/a.jpg", "in/b [2].jpg", "in/b.jpg", "x/a.jpg"],
    "in/**/*.jpg": ["in/a.jpg", "in/b [2].jpg", "in/b.jpg", "in/deep/er/c.jpg"],
    "**": ["in/a.jpg", "in/b [2].jpg", "in/b.jpg", "in/c.JPG", "in/deep/er/c.jpg", "x/a.jpg"],
    "in/.*.jpg": ["in/._a.jpg"],
    "in/a.jpg": ["in/a.jpg"],
    "in/b [2].jpg": ["in/b [2].jpg"],
    "in/b [[]2].jpg": ["in/b [2].jpg"],
    "i*/d*/e?/c.jpg": ["in/deep/er/c.jpg"],
    "in/*.png": [],
    "in/deep": [],
    "in/deep*": [],
    "none/*": [],
}


@pytest.mark.parametrize("pattern", GLOBS)
def test_globs_find_the_same_everywhere(folder, pattern):
    names = ["in/a.jpg", "in/b.jpg", "in/b [2].jpg", "in/c.JPG", "in/._a.jpg", "in/deep/er/c.jpg"]
    for name in [*names, "in/.hidden/d.jpg", "x/a.jpg"]:
        storage.write(storage.join(folder, name), b"")
    assert storage.glob(storage.join(folder, pattern)) == [
        storage.join(folder, name) for name in GLOBS[pattern]
    ]


def test_threads_share_one_storage(folder):
    def there_and_back(number: int) -> bool:
        url = storage.join(folder, f"{number}.bin")
        storage.write(url, bytes([number]) * 1000)
        return storage.read(url) == bytes([number]) * 1000 and storage.exists(url)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(there_and_back, range(48)))
