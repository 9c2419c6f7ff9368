"""What this machine says of itself."""

import psutil

from styletransfer.machine.hardware import host_memory, peak_rss


def test_host_memory_is_the_machines_or_less_where_a_container_has_less():
    assert 0 < host_memory() <= psutil.virtual_memory().total


def test_peak_of_this_process_is_at_least_what_it_holds():
    peak = peak_rss()
    assert peak is not None
    assert peak >= 0.9 * psutil.Process().memory_info().rss
