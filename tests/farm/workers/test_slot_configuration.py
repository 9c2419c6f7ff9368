"""Which flows a slot's worker starts."""

import pytest

from flows.farm.workers.slot_configuration import check_entrypoint
from styletransfer.errors import StyleTransferError

OLD = [
    "flows.farm.driver.drive_manifest",
    "flows.farm.rendering.render_pairs",
    "flows.farm.inbox.render_inbox",
    "flows.farm.clean.clean",
]
"""Entry points of deployments before the flows had rooms."""


@pytest.mark.parametrize("entrypoint", OLD)
def test_an_entry_point_of_another_version_is_none(entrypoint):
    with pytest.raises(StyleTransferError, match=rf"it has {entrypoint}, .* run `styletransfer deploy`"):
        check_entrypoint(entrypoint)


@pytest.mark.parametrize("entrypoint", ["tests.farm.sleeper.sleeper", "night.py:clean", None])
def test_flows_of_others_are_theirs(entrypoint):
    check_entrypoint(entrypoint)
