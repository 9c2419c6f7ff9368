"""What words of other programs mean here, and what near letters do."""

import pytest

from styletransfer import hints
from styletransfer.hints import did_you_mean, hint
from styletransfer.manifest.schema import GridEntry, ManifestFile, PairEntry, StyleEntry
from styletransfer.settings import Settings

SETTINGS = list(Settings.model_fields)

NAMES = {
    # neural-style
    "image_size": "end_scale",
    "num_iterations": "iterations",
    "style_scale": "style_scale_fac",
    "learning_rate": "step_size",
    "init_image": "init",
    "original_colors": "colours",
    "gpu": "gpus",
    # the original
    "random-seed": "seed",
    # ComfyUI, diffusers
    "size": "end_scale",
    "width": "end_scale",
    "steps": "iterations",
    "num_inference_steps": "iterations",
    "denoise": "strength",
    "denoising_strength": "strength",
    "noise_seed": "seed",
    "sampler_name": "optimizer",
    # letters
    "contnet_weight": "content_weight",
    "end-scale": "end_scale",
    "initial_iteration": "initial_iterations",
}


@pytest.mark.parametrize("word", NAMES)
def test_a_word_leads_to_the_setting_that_is_meant(word):
    assert hint(word, SETTINGS) == f" (did you mean {NAMES[word]!r}?)"


@pytest.mark.parametrize("word", ["style_weight", "-style_weight", "style-weight", "style_blend_weights"])
def test_weights_of_styles_are_a_blend(word):
    assert "a blend of styles is `styles: [{image, weight}]`" in hint(word, SETTINGS)


def test_a_word_with_nothing_like_it_here_is_told_what_there_is():
    assert hint("cfg", SETTINGS) == " (nothing here is made from text)"


@pytest.mark.parametrize("word", ["--web", "--browser", "--host", "--port"])
def test_a_render_in_the_browser_is_by_watch(word):
    assert "`--watch`" in hint(word, ["--watch", "--split", "--proof"])


def test_options_are_told_as_they_are_written():
    options = ["--step-size", "--iterations", "--end-scale", "--weights"]
    assert hint("--steps", options) == " (did you mean '--iterations'?)"
    assert hint("-image_size", options) == " (did you mean '--end-scale'?)"
    assert hint("--model-file", options) == " (did you mean '--weights'?)"
    assert hint("--iteratons", options) == " (did you mean '--iterations'?)"


def test_a_meaning_that_belongs_elsewhere_is_told_all_the_same():
    assert hint("steps", PairEntry.model_fields) == " (here: `iterations`)"


def test_a_word_that_nobody_knows_gets_no_hint():
    assert hint("zzz", SETTINGS) == ""
    assert did_you_mean("zzz", SETTINGS) == ""


def test_every_meaning_is_a_name_of_this_program():
    models = (Settings, ManifestFile, PairEntry, GridEntry, StyleEntry)
    assert hints._BY_NAME.keys() <= {name for model in models for name in model.model_fields}


def test_no_name_of_this_program_is_taken_for_another_word():
    assert not (hints._MEANT.keys() | hints._IN_WORDS.keys()) & set(SETTINGS)


def test_a_word_has_one_meaning():
    words = [word for names in hints._BY_NAME.values() for word in names.split()] + list(hints._IN_WORDS)
    assert len(words) == len(set(words))
