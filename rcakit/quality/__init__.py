"""Is the process in control, and do people agree?

`control_chart` and `capability` ask whether a process is stable and good enough, `pareto` what to
mend first, `agreement` and `shared_error` whether the measurements can be trusted, `funnel` who
differs beyond chance, `explain_drop` why accuracy fell, `audit_plan` and `audit_estimate` how many
cases to check and what they say.
"""

from rcakit.quality.audits import (
    AuditEstimateResult,
    AuditPlanResult,
    audit_estimate,
    audit_plan,
)
from rcakit.quality.control import ControlChartResult, control_chart
from rcakit.quality.drop import explain_drop
from rcakit.quality.drop_result import DropResult
from rcakit.quality.process import CapabilityResult, ParetoResult, capability, pareto
from rcakit.quality.raters import AgreementResult, agreement
from rcakit.quality.shared_error_alarm import SharedErrorResult, shared_error
from rcakit.quality.units import FunnelResult, funnel

__all__ = [
    "AgreementResult",
    "AuditEstimateResult",
    "AuditPlanResult",
    "CapabilityResult",
    "ControlChartResult",
    "DropResult",
    "FunnelResult",
    "ParetoResult",
    "SharedErrorResult",
    "agreement",
    "audit_estimate",
    "audit_plan",
    "capability",
    "control_chart",
    "explain_drop",
    "funnel",
    "pareto",
    "shared_error",
]
