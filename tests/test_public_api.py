"""The names that `import styletransfer` offers, as a notebook uses them."""

import subprocess
import sys

from styletransfer import Progress, check_settings, decode, encode, stylize
from tests.studio import SHALLOW, picture_file

FRESH = """
import sys, styletransfer, styletransfer.settings
assert not {"numpy", "torch"} & set(sys.modules)
import styletransfer.renders.stylize
from styletransfer import stylize
assert callable(stylize) and styletransfer.stylize is stylize
"""


def test_names_load_when_used_and_stylize_is_the_function():
    """...whatever has been imported before: there is a module of that name."""
    subprocess.run([sys.executable, "-W", "error", "-c", FRESH], check=True)


def test_five_lines_render_a_picture():
    content, style = (decode(picture_file(seed), f"{seed}.png") for seed in (1, 2))
    seen: list[Progress] = []
    picture = stylize(content, style, check_settings(SHALLOW), weights="random", callback=seen.append)
    assert decode(encode(picture.image, "png"), "out.png").size == picture.size == (32, 24)
    assert [progress.iteration for progress in seen] == [1, 2, 3, 1, 2]
