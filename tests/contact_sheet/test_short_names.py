"""Pictures are called by their files' names, and where these are the same, by their folders, too."""

import pytest

from styletransfer.contact_sheet.short_names import short_names


@pytest.mark.parametrize(
    ("urls", "names"),
    [
        (["/in/cat.jpg", "/in/dog.jpg"], ["cat.jpg", "dog.jpg"]),
        (["/in/cat.jpg", "/in/cat.jpg"], ["cat.jpg"]),
        (["/2024/cat.jpg", "/2025/cat.jpg", "/2025/dog.jpg"], ["2024/cat.jpg", "2025/cat.jpg", "dog.jpg"]),
        (["s3://b/x/in/cat.jpg", "s3://b/y/in/cat.jpg"], ["x/in/cat.jpg", "y/in/cat.jpg"]),
        (["cat.jpg", "/in/cat.jpg"], ["cat.jpg", "in/cat.jpg"]),
    ],
)
def test_each_picture_has_a_name_of_its_own_as_short_as_can_be(urls, names):
    assert [*short_names(urls).values()] == names
