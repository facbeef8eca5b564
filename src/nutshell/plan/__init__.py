"""The plan: which engine, precision and memory mode, and why."""

from nutshell.plan.plan import EngineChoice, Plan, StageNeed, make_plan

__all__ = ["EngineChoice", "Plan", "StageNeed", "make_plan"]
