"""This computer: what it is, which device to use, what it lacks, what slows it down.

Only `prepare_device` changes settings, those of its own process.
"""

from roadtest.machine.device import choose_device, prepare_device, wait_for_device
from roadtest.machine.doctor import doctor_findings
from roadtest.machine.environment import count_usable_cores, describe_machine, others_cpu_seconds, watch_load

__all__ = [
    "choose_device",
    "count_usable_cores",
    "describe_machine",
    "doctor_findings",
    "others_cpu_seconds",
    "prepare_device",
    "wait_for_device",
    "watch_load",
]
