"""What a look at a network finds that a record of its training does not hold: a room for each question."""

from gradwell.doctor.probes.probe import Probe, probe

__all__ = ["Probe", "probe"]
