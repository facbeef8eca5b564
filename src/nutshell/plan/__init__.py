"""The plan: which engine, device, precision and memory mode, what it will take, and why."""

from nutshell.plan.installed import Installed, installed_engines
from nutshell.plan.learn import Ratios
from nutshell.plan.measured import keep_rates, kept_rates, rates_key
from nutshell.plan.need import Need, StageNeed
from nutshell.plan.offers import EIGHT_BITS, Offer, Rejected, arithmetic, find_offers, processor_precisions
from nutshell.plan.plan import Plan, default_ceiling, make_plan
from nutshell.plan.planner import Planner
from nutshell.plan.rates import Rates, guessed_rates

__all__ = [
    "EIGHT_BITS",
    "Installed",
    "Need",
    "Offer",
    "Plan",
    "Planner",
    "Rates",
    "Ratios",
    "Rejected",
    "StageNeed",
    "arithmetic",
    "default_ceiling",
    "find_offers",
    "guessed_rates",
    "installed_engines",
    "keep_rates",
    "kept_rates",
    "make_plan",
    "processor_precisions",
    "rates_key",
]
