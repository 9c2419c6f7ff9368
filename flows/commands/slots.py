"""`styletransfer slots`: what each slot renders; one slot or host drained, resumed, restarted, from anywhere."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from flows.commands.farm_server import with_server
from flows.commands.options import DONE, Parser
from styletransfer.errors import Fault, FaultsError

if TYPE_CHECKING:
    from datetime import datetime

    from prefect.client.orchestration import SyncPrefectClient

    from flows.commands.terminal import Lines
    from flows.farm.slot_service import ServiceState
    from flows.farm.slot_work import SlotWork

USAGE: Final = "[drain|resume|restart WHERE ...] [--until TIME]"

HELP: Final = """\
Without more: each slot, what it renders, and why it does not. `drain` has
slots take no more pairs; what is in hand is saved and goes on elsewhere, within
a minute. `resume` has them take pairs again. WHERE is a host, for all of its
slots, or a slot, HOST-SLOT: alpha, alpha-gpu0. It stays so when workers or
hosts are started anew. `restart` has their workers hand back what they have,
end, and be started again by `styletransfer worker`; then they take pairs.

exit status: 0 done, 1 the server can't be reached, 2 there is no such host or
slot

examples:
  styletransfer slots
  styletransfer slots drain alpha
  styletransfer slots drain alpha-gpu0 --until 'tomorrow 08:00'
  styletransfer slots resume alpha
  styletransfer slots restart alpha-gpu0
"""


def add_options(parser: Parser) -> None:
    actions = ("drain", "resume", "restart")
    parser.add_argument("action", nargs="?", choices=actions, metavar="|".join(actions), help="what to do")
    parser.add_argument("where", nargs="*", metavar="WHERE", help="a host, or HOST-SLOT")
    parser.add_argument("--until", metavar="TIME", help="drain: resume by itself then, 22:30 or 'tomorrow 08:00'")
    parser.add_shared("--timezone", "--state")


@with_server
def run(options: argparse.Namespace, client: SyncPrefectClient, lines: Lines) -> int:
    """Returns the exit status."""
    from flows.commands.handing_over import asked_zone, moment
    from flows.commands.night_view import slots_view
    from flows.commands.tables import show
    from flows.farm.slot_service import resume
    from flows.farm.slot_work import read_slots

    slots = read_slots(client)
    if options.action is None:
        show(slots_view(slots))
        return DONE
    until = moment(options.until, asked_zone(options)) if options.until else None
    for slot in chosen(slots, options.where):
        if options.action == "drain":
            _put_out(client, slot, "draining", "drained by hand", until)
            lines.say(f"{slot.worker}: drains: what it renders is saved and goes on elsewhere")
        elif options.action == "restart":
            _put_out(client, slot, "restarting", "restarted by hand")
            lines.say(f"{slot.worker}: is started again within a minute: what it renders is saved and goes on")
        else:
            lines.say(f"{slot.worker}: {'takes pairs again' if resume(client, slot.worker) else 'was in service'}")
    return DONE


def chosen(slots: Sequence[SlotWork], asked: Sequence[str]) -> list[SlotWork]:
    """The slots that are meant. Raises FaultsError for a name that none has, and without any."""
    faults = []
    if not asked:
        faults.append(Fault("", "which host or slot?"))
    for name in asked:
        if not any(name in (slot.host, slot.worker) for slot in slots):
            hosts = ", ".join(dict.fromkeys(slot.host for slot in slots)) or "none"
            faults.append(Fault("", f"there is no host or slot {name!r}; hosts: {hosts}"))
    if faults:
        raise FaultsError(faults)
    return [slot for slot in slots if slot.host in asked or slot.worker in asked]


def _put_out(
    client: SyncPrefectClient, slot: SlotWork, state: ServiceState, reason: str, until: datetime | None = None
) -> None:
    from flows.farm.slot_service import SlotService, write_service
    from styletransfer.records.records import now

    service = SlotService(worker=slot.worker, state=state, reason=reason, since=now(), until=until)
    write_service(client, service)
