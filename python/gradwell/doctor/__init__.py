"""The doctor: verdicts on a network's gradients, what causes them, and what may help."""

from gradwell.doctor.case import Case
from gradwell.doctor.diagnosis import Diagnosis
from gradwell.doctor.examination import diagnose
from gradwell.doctor.finding import FACTORS, SEVERITIES, Finding, Remedy
from gradwell.doctor.registry import Rule, forget, rule, rules
from gradwell.doctor.remedies import REMEDIES, remedies

__all__ = [
    "FACTORS",
    "REMEDIES",
    "SEVERITIES",
    "Case",
    "Diagnosis",
    "Finding",
    "Remedy",
    "Rule",
    "diagnose",
    "forget",
    "remedies",
    "rule",
    "rules",
]
