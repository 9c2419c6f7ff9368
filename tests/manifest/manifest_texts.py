"""Manifests that tests read: one with every key, and bad ones with what is told of them."""

from styletransfer.manifest.pairs import Manifest
from styletransfer.manifest.reader import parse_manifest

HARBOUR = """\
version: 1
name: harbour-series            # default: the file's name
output: s3://studio/renders     # or a path, relative to the manifest
weights: imagenet
format: png                     # png | jpeg | webp | tiff
defaults: {end_scale: 2048, content_weight: 0.015}   # any setting
pairs:
  - content: s3://studio/in/harbour.jpg
    style: styles/wave.png                  # relative to the manifest
  - id: harbour-blend                       # default: content and style names, made unique
    content: in/harbour.jpg
    styles: [{image: styles/a.png, weight: 3}, {image: styles/b.png, weight: 1}]
    settings: {end_scale: 4096, gpus: 2}
grid:                                       # cross product, added to pairs; globs work on S3 too
  - {contents: [in/*.jpg], styles: [styles/*.png], settings: {iterations: 300}}
"""

PAIR = "pairs: [{content: a, style: b}]"

KEYS = (
    "version, name, output, weights, format, dpi, priority, requires, max_failed, embed_inputs, keep_versions, "
    "defaults, pairs, grid"
)

BAD = {
    # The file as a whole
    "": "demo.yaml: manifest (line 1) is empty; must be a mapping with `version`, `pairs` and more",
    "- a": "demo.yaml: manifest (line 1) is a list; must be a mapping with `version`, `pairs` and more",
    "version: [": "demo.yaml: YAML (line 1) is not valid: did not find expected node content",
    "version: 1": "demo.yaml: manifest (line 1) asks for no renders; give it `pairs` or a `grid`",
    "version: 1\npairs: []": "demo.yaml: manifest (line 1) asks for no renders; give it `pairs` or a `grid`",
    f"version: 2\n{PAIR}": (
        "demo.yaml: version (line 1) is 2; this program reads version 1 (`version: 1`)"
    ),
    f"version: '1'\n{PAIR}": (
        "demo.yaml: version (line 1) is '1'; this program reads version 1 (`version: 1`)"
    ),
    f"version: true\n{PAIR}": (
        "demo.yaml: version (line 1) is true; this program reads version 1 (`version: 1`)"
    ),
    PAIR: "demo.yaml: version (line 1) is missing; this program reads version 1 (`version: 1`)",
    f"version: 1\nversion: 1\n{PAIR}": "demo.yaml: version (line 2) is given twice, first in line 1",
    # The top level
    f"version: 1\nkeep_versions: -1\n{PAIR}": "demo.yaml: keep_versions (line 2) is -1; must be >= 0",
    f"version: 1\nkeep_versions: '3'\n{PAIR}": "demo.yaml: keep_versions (line 2) is '3'; must be a whole number",
    f"version: 1\nembed_inputs: 1\n{PAIR}": "demo.yaml: embed_inputs (line 2) is 1; must be true or false",
    f"version: 1\nfromat: png\n{PAIR}": (
        "demo.yaml: fromat (line 2) is not a key of a manifest (did you mean 'format'?); allowed: "
        f"{KEYS}"
    ),
    **{
        f"version: 1\nmax_failed: {value}\n{PAIR}": (
            f"demo.yaml: max_failed (line 2) is {shown}; must be a whole number >= 1, or a share such as '10%'"
        )
        for value, shown in (("0", "0"), ("1.5", "1.5"), ("110%", "'110%'"), ("true", "true"), ("'{5}'", "'{5}'"))
    },
    f"version: 1\nend_scale: 512\n{PAIR}": (
        "demo.yaml: end_scale (line 2) is a setting; write it below defaults"
    ),
    f"version: 1\nname: ../x\n{PAIR}": (
        "demo.yaml: name (line 2) is '../x'; it must be letters, digits, '-', '_' and '.', "
        "begin with a letter or digit and not end with '.'"
    ),
    f"version: 1\nname: no\nformat: yes\n{PAIR}": (
        "demo.yaml: format (line 3) is 'yes'; must be 'png', 'jpeg', 'webp' or 'tiff'"
    ),
    f"version: 1\noutput: 3\n{PAIR}": "demo.yaml: output (line 2) is 3; must be text",
    f"version: 1\noutput: ''\n{PAIR}": "demo.yaml: output (line 2) is ''; must be text, not empty",
    f"version: 1\noutput: https://h/o\n{PAIR}": (
        "demo.yaml: output (line 2) is a web address; results go to a path or to s3://BUCKET/FOLDER"
    ),
    f"version: 1\nweights: random:x\n{PAIR}": (
        "demo.yaml: weights (line 2) is 'random:x'; the seed must be a whole number: 'random:7'"
    ),
    f"version: 1\nweights: 'random:{'9' * 24}'\n{PAIR}": (
        f"demo.yaml: weights (line 2) is 'random:{'9' * 24}'; the seed must be at most 9223372036854775807"
    ),
    f"version: 1\nweights: {{source: a, sha256: beef}}\n{PAIR}": (
        "demo.yaml: weights.sha256 (line 2) is 'beef'; must be 64 hexadecimal digits"
    ),
    f"version: 1\nweights: {{sorce: a}}\n{PAIR}": (
        "demo.yaml: weights.source (line 2) is missing\n"
        "demo.yaml: weights.sorce (line 2) is not a key of the weights (did you mean 'source'?); "
        "allowed: source, sha256"
    ),
    f"version: 1\nweights: [a]\n{PAIR}": "demo.yaml: weights (line 2) is a list; must be a mapping",
    f"version: 1\ndefaults: {{seed: -1}}\n{PAIR}": (
        "demo.yaml: defaults.seed (line 2) is -1; must be a whole number from 0 to 2**63 - 1"
    ),
    f"version: 1\ndefaults: 3\n{PAIR}": "demo.yaml: defaults (line 2) is 3; must be a mapping",
    f"version: 1\npriority: urgent\n{PAIR}": (
        "demo.yaml: priority (line 2) is 'urgent'; must be 'low', 'normal' or 'high'"
    ),
    f"version: 1\nrequires: a100\n{PAIR}": "demo.yaml: requires (line 2) is 'a100'; must be a list",
    f"version: 1\nrequires: [a100, 'two words']\n{PAIR}": (
        "demo.yaml: requires[1] (line 2) is 'two words'; must be letters, digits, '.', '_' and '-', at most 40, "
        "the first a letter or digit"
    ),
    "version: 1\npairs: {content: a}": "demo.yaml: pairs (line 2) is a mapping; must be a list",
    # Pairs
    "version: 1\ngrid: [[a]]": "demo.yaml: grid[0] (line 2) is a list; must be a mapping",
    "version: 1\npairs: [a]": "demo.yaml: pairs[0] (line 2) is 'a'; must be a mapping",
    "version: 1\npairs: [{content: a}]": (
        "demo.yaml: pairs[0] (line 2) has neither `style` nor `styles`; one is needed"
    ),
    "version: 1\npairs: [{content: a, style: b, styles: [c]}]": (
        "demo.yaml: pairs[0] (line 2) has both `style` and `styles`; one is needed"
    ),
    "version: 1\npairs: [{content: a, style: [b, c]}]": (
        "demo.yaml: pairs[0].style (line 2) is a list; must be text; a blend is `styles: [{image, weight}]`"
    ),
    "version: 1\npairs: [{content: [a, b], style: c}]": (
        "demo.yaml: pairs[0].content (line 2) is a list; must be text; several make a `grid`"
    ),
    "version: 1\npairs: [{content: a, style: b, style_weight: 3}]": (
        "demo.yaml: pairs[0].style_weight (line 2) is not a key of a pair (`content_weight` is relative to a "
        "style weight of 1; a blend of styles is `styles: [{image, weight}]`); allowed: "
        "settings, format, dpi, priority, requires, id, content, style, styles, keep, swept"
    ),
    "version: 1\nsteps: 300\nimage_size: 512\npairs: [{content: a, style: b}]": (
        "demo.yaml: steps (line 2) is not a key of a manifest (here: `iterations`); allowed: "
        f"{KEYS}\n"
        "demo.yaml: image_size (line 3) is not a key of a manifest (here: `end_scale`); allowed: "
        f"{KEYS}"
    ),
    "version: 1\npairs: [{style: b}]": "demo.yaml: pairs[0].content (line 2) is missing",
    "version: 1\npairs: [{contents: a, style: b}]": (
        "demo.yaml: pairs[0].content (line 2) is missing\n"
        "demo.yaml: pairs[0].contents (line 2) is not a key of a pair (did you mean 'content'?); allowed: "
        "settings, format, dpi, priority, requires, id, content, style, styles, keep, swept"
    ),
    "version: 1\npairs:\n- content: a\n  style: b\n  seed: 3": (
        "demo.yaml: pairs[0].seed (line 5) is a setting; write it below settings"
    ),
    "version: 1\npairs: [{content: a, styles: []}]": (
        "demo.yaml: pairs[0].styles (line 2) is an empty list; must have at least one entry"
    ),
    "version: 1\npairs: [{content: a, style: {image: b, weight: 2}}]": (
        "demo.yaml: pairs[0].style (line 2) is a mapping; must be text; one with a weight or a region is "
        "`styles: [{image, weight, region}]`"
    ),
    "version: 1\npairs: [{content: a, style: b, mask: m.png}]": (
        "demo.yaml: pairs[0].mask (line 2) is not a key of a pair (a mask is `region` or `from` of one of a pair's "
        "`styles`, or `keep` of the pair); allowed: settings, format, dpi, priority, requires, id, content, style, "
        "styles, keep, swept"
    ),
    "version: 1\npairs: [{content: a, styles: [{image: b, weight: 0}]}]": (
        "demo.yaml: pairs[0].styles[0].weight (line 2) is 0; must be > 0"
    ),
    "version: 1\npairs: [{content: a, styles: [{image: b, weight: .inf}]}]": (
        "demo.yaml: pairs[0].styles[0].weight (line 2) is inf; must be a finite number"
    ),
    "version: 1\npairs: [{content: a, styles: [{image: b, wieght: 1}]}]": (
        "demo.yaml: pairs[0].styles[0].wieght (line 2) is not a key of a style (did you mean 'weight'?); "
        "allowed: image, weight, region, from"
    ),
    "version: 1\npairs: [{content: a, styles: [{image: b, form: c, sample: d}]}]": (
        "demo.yaml: pairs[0].styles[0].form (line 2) is not a key of a style (did you mean 'from'?); "
        "allowed: image, weight, region, from\n"
        "demo.yaml: pairs[0].styles[0].sample (line 2) is not a key of a style; "
        "allowed: image, weight, region, from"
    ),
    "version: 1\npairs: [{content: a, styles: [{image: b, region: [c]}], keep: 1}]": (
        "demo.yaml: pairs[0].styles[0].region (line 2) is a list; must be text\n"
        "demo.yaml: pairs[0].keep (line 2) is 1; must be text"
    ),
    "version: 1\npairs: [{content: a, styles: [{image: b, from: 'htp://h/m'}]}]": (
        "demo.yaml: pairs[0].styles[0].from (line 2) leads nowhere: cannot reach htp://h/m: nothing here reads "
        "htp://; use a path, s3://, http:// or https://"
    ),
    "version: 1\npairs: [{content: a, styles: [{image: b, weight: '1'}]}]": (
        "demo.yaml: pairs[0].styles[0].weight (line 2) is '1'; must be a number"
    ),
    "version: 1\npairs: [{content: a, style: b, dpi: true}]": (
        "demo.yaml: pairs[0].dpi (line 2) is true; must be a number"
    ),
    "version: 1\npairs: [{content: htp://h/a?key=secret, style: b}]": (
        "demo.yaml: pairs[0].content (line 2) leads nowhere: cannot reach htp://h/a: nothing here reads "
        "htp://; use a path, s3://, http:// or https://"
    ),
    # Settings
    f"version: 1\ndefaults: {{size: 512, steps: 300}}\n{PAIR}": (
        "demo.yaml: defaults.size (line 2) is not a setting (did you mean 'end_scale'?)\n"
        "demo.yaml: defaults.steps (line 2) is not a setting (did you mean 'iterations'?)"
    ),
    "version: 1\npairs:\n- content: a\n  style: b\n  settings:\n    content_weight: -1": (
        "demo.yaml: pairs[0].settings.content_weight (line 6) is -1; must be a finite number >= 0"
    ),
    "version: 1\npairs: [{content: a, style: b, settings: {contnt_weight: 1, seed: x}}]": (
        "demo.yaml: pairs[0].settings.seed (line 2) is 'x'; must be a whole number from 0 to 2**63 - 1\n"
        "demo.yaml: pairs[0].settings.contnt_weight (line 2) is not a setting "
        "(did you mean 'content_weight'?)"
    ),
    # Ids
    "version: 1\npairs:\n- {id: a/b, content: a, style: b}": (
        "demo.yaml: pairs[0].id (line 3) is 'a/b'; it must be letters, digits, '-', '_' and '.', "
        "begin with a letter or digit and not end with '.'"
    ),
    "version: 1\npairs:\n- {id: Summary, content: a, style: b}": (
        "demo.yaml: pairs[0].id (line 3) is 'Summary', which is taken; choose another"
    ),
    "version: 1\npairs:\n- {id: a, content: a, style: b}\n- {id: A, content: a, style: c}": (
        "demo.yaml: pairs[1].id (line 4) is 'A', already the id of pairs[0] (line 3); "
        "ids must differ in more than case"
    ),
    "version: 1\npairs:\n- {content: a, style: b}\n- {content: ./a, style: b, settings: {gpus: 2}}": (
        "demo.yaml: pairs[1] (line 4) asks for the same render as pairs[0] (line 3): a--b; "
        "remove one, or give it an `id`"
    ),
    # Grids
    "version: 1\ngrid: [{contents: a, styles: [b]}]": (
        "demo.yaml: grid[0].contents (line 2) is 'a'; must be a list"
    ),
    "version: 1\ngrid: [{contents: [], styles: [b]}]": (
        "demo.yaml: grid[0].contents (line 2) is an empty list; must have at least one entry"
    ),
    "version: 1\ngrid:\n- contents: [a, 'none/*.jpg']\n  styles: [b]": (
        "demo.yaml: grid[0].contents[1] (line 3) is 'none/*.jpg'; no file matches it"
    ),
    "version: 1\ngrid: [{contents: ['https://h/*.jpg'], styles: [b]}]": (
        "demo.yaml: grid[0].contents[0] (line 2) cannot be looked up: cannot list https://h/*.jpg: "
        "a web server cannot be listed; name each file"
    ),
    "version: 1\ngrid: [{content: [a], styles: [b]}]": (
        "demo.yaml: grid[0].contents (line 2) is missing\n"
        "demo.yaml: grid[0].content (line 2) is not a key of a grid entry (did you mean 'contents'?); "
        "allowed: settings, format, dpi, priority, requires, contents, styles"
    ),
}  # fmt: skip


def parse(body: str, **overrides) -> Manifest:
    return parse_manifest(f"version: 1\n{body}", "/m/demo.yaml", **overrides)
