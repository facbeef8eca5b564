"""`onnxruntime`, imported without its telemetry.

From 1.31 on, its import writes a number for this machine and a database into the user's cache folder, and what stands
there is sent to Microsoft (its Privacy.md). `disable_telemetry_events` comes too late for that; the variable does not.
"""

from __future__ import annotations

import os

# Also for the processes that this one starts.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

# For Windows, whose own way of reporting the variable does not stop.
onnxruntime.disable_telemetry_events()

__all__ = ["onnxruntime"]
