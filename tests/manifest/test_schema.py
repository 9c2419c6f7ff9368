"""The schema that editors complete from: current, and of one mind with the reader where it can be."""

import json

import jsonschema
import pytest

from styletransfer.manifest import strict_yaml
from styletransfer.manifest.schema import json_schema
from tests.checkout import ROOT
from tests.manifest.manifest_texts import BAD, HARBOUR, PAIR

SCHEMA = ROOT / "manifests" / "manifest.schema.json"


def test_the_published_schema_is_current():
    expected = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    assert SCHEMA.read_text() == expected, (
        "run: python -m styletransfer.manifest.schema > manifests/manifest.schema.json"
    )


@pytest.fixture(scope="module")
def schema():
    jsonschema.Draft202012Validator.check_schema(json_schema())
    return jsonschema.Draft202012Validator(json_schema())


GOOD = [
    HARBOUR,
    f"version: 1\n{PAIR}",
    "version: 1\nweights: {source: random}\ndpi: 300\npairs: [{content: a, styles: [a, {image: b}], format: tiff}]",
    "version: 1\n"
    "defaults: {end_scale: 512+, style_layers: {relu1_1: 1}, content_layers: [relu4_2], tiles: off}\n" + PAIR,
]

# What no schema can say: ids that clash, globs, settings that don't fit each other, schemes, layer names ...
BEYOND_A_SCHEMA = (
    "already the id",
    "finite",
    "given twice",
    "leads nowhere",
    "looked up",
    "no file",
    "not valid:",
    "random:x",
    "the seed must be at most",
    "taken",
    "the same render",
    "web address",
)


@pytest.mark.parametrize("text", GOOD)
def test_the_schema_accepts_good_manifests(schema, text):
    schema.validate(strict_yaml.load(text).value)


@pytest.mark.parametrize(
    "text", [text for text in BAD if not any(word in BAD[text] for word in BEYOND_A_SCHEMA)], ids=repr
)
def test_the_schema_rejects_bad_manifests(schema, text):
    assert not schema.is_valid(strict_yaml.load(text).value)


def test_every_key_of_the_schema_is_described(schema):
    properties = {**schema.schema["properties"], **schema.schema["$defs"]["PairEntry"]["properties"]}
    assert all("description" in part or "$ref" in part for part in properties.values())
