"""What a word that is not known here may have meant: by its letters, or as other programs use it.

Letters alone mislead: `steps` is near `step_size`, but who writes it wants iterations.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Words of neural-style (https://github.com/jcjohnson/neural-style), of the original
# (https://github.com/crowsonkb/style-transfer-pytorch), of ComfyUI and of diffusers, by what they are here:
# a name, or else what is to be said.
_BY_NAME = {
    "end_scale": "size image_size img_size max_size output_size content_size width height resolution",
    "iterations": "steps num_steps num_iterations num_inference_steps n_iter n_iters iters max_iter epochs",
    "step_size": "lr learning_rate",
    "avg_decay": "decay ema ema_decay",
    "style_scale_fac": "style_scale",
    "strength": "denoise denoising_strength style_strength stylization_strength",
    "quality": "preset",
    "tv_weight": "tv smoothness total_variation total_variation_weight",
    "seed": "random_seed noise_seed",
    "init": "init_image",
    "optimizer": "sampler sampler_name",
    "alpha": "transparency transparent keep_alpha",
    "colours": "colors color original_colors preserve_color preserve_colors color_preservation",
    "proof": "soft_proof",
    "gpus": "gpu num_gpus multigpu_strategy multidevice_strategy",
    "tiles": "tile tile_size tiling",
    "weights": "model model_file model_path checkpoint ckpt ckpt_name",
    "format": "file_format output_format extension image_format",
    "output": "output_image output_dir output_folder out save_path filename_prefix",
    "content": "content_image input_image",
    "style": "style_image",
}
_BLEND = "a blend of styles is `styles: [{image, weight}]`"
_NO_TEXT = "nothing here is made from text"
_BROWSER = "`--watch` shows a render in this machine's browser, at an address of its own"
_IN_WORDS = {
    "style_weight": f"`content_weight` is relative to a style weight of 1; {_BLEND}",
    "beta": f"`content_weight` is relative to a style weight of 1; {_BLEND}",
    "style_weights": _BLEND,
    "style_blend_weights": _BLEND,
    "prompt": _NO_TEXT,
    "negative_prompt": _NO_TEXT,
    "cfg": _NO_TEXT,
    "cfg_scale": _NO_TEXT,
    "guidance_scale": _NO_TEXT,
    "scheduler": "`optimizer` and `schedule` say how it is optimized",
    "batch_size": "each pair is one picture; for more, add pairs with another `seed`",
    "num_images": "each pair is one picture; for more, add pairs with another `seed`",
    "mask": "a mask is `region` or `from` of one of a pair's `styles`, or `keep` of the pair",
    "save_iter": "state is saved by time: `checkpoint_s`",
    "save_every": "state is saved by time: `checkpoint_s`",
    "budget": "it is for `preview`, on one machine; on a farm `submit --preview --scale N` says how far",
    "web": _BROWSER,
    "browser": _BROWSER,
    "host": _BROWSER,
    "port": _BROWSER,
    "print_iter": "progress is always shown",
    "backend": "the network runs on PyTorch alone",
    "normalize_gradients": "gradients are never normalized",
}
_MEANT = {word: name for name, words in _BY_NAME.items() for word in words.split()}


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the allowed name with the nearest letters, or nothing when none is near."""
    nearest = difflib.get_close_matches(name, list(allowed), n=1)
    return f" (did you mean {nearest[0]!r}?)" if nearest else ""


def hint(word: str, allowed: Iterable[str]) -> str:
    """What a word that is not allowed is here, if another program knows it; else as `did_you_mean`.

    Hyphens count as underscores, so that it does for options as well; an allowed name is told as it is
    written. A word's meaning that is not allowed in this place is told all the same.

    >>> hint("steps", ["step_size", "iterations"])
    " (did you mean 'iterations'?)"
    >>> hint("--steps", ["--step-size", "--iterations"])
    " (did you mean '--iterations'?)"
    >>> hint("steps", ["content", "style"])
    ' (here: `iterations`)'
    """
    spelled = {_plain(name): name for name in allowed}
    plain = _plain(word)
    if text := _IN_WORDS.get(plain):
        return f" ({text})"
    if meant := _MEANT.get(plain):
        return f" (did you mean {spelled[meant]!r}?)" if meant in spelled else f" (here: `{meant}`)"
    return did_you_mean(word, spelled.values())


def _plain(word: str) -> str:
    return word.lstrip("-").replace("-", "_").lower()
