"""The doctor: verdicts on a network's gradients, what causes them, and what may help."""

from gradwell.doctor.case import Case
from gradwell.doctor.changes import NotApplicableError, Setup, applied
from gradwell.doctor.compared import Comparison, Difference, Losses
from gradwell.doctor.comparison import compare
from gradwell.doctor.diagnosis import Diagnosis
from gradwell.doctor.examination import diagnose
from gradwell.doctor.finding import FACTORS, SEVERITIES, Finding, Remedy
from gradwell.doctor.given import Given
from gradwell.doctor.probes import Probe, probe
from gradwell.doctor.registry import Rule, forget, rule, rules
from gradwell.doctor.remedies import REMEDIES, remedies
from gradwell.doctor.treatment import NothingToTreatError, Treatment, treat
from gradwell.doctor.trials import Outcome, Trial

__all__ = [
    "FACTORS",
    "REMEDIES",
    "SEVERITIES",
    "Case",
    "Comparison",
    "Diagnosis",
    "Difference",
    "Finding",
    "Given",
    "Losses",
    "NotApplicableError",
    "NothingToTreatError",
    "Outcome",
    "Probe",
    "Remedy",
    "Rule",
    "Setup",
    "Treatment",
    "Trial",
    "applied",
    "compare",
    "diagnose",
    "forget",
    "probe",
    "remedies",
    "rule",
    "rules",
    "treat",
]
