"""Makes `overlay_writer.py` importable; tests also run it as a process."""

import importlib.util
import sys
from pathlib import Path

_spec = importlib.util.spec_from_file_location("overlay_writer", Path(__file__).with_name("overlay_writer.py"))
assert _spec is not None
assert _spec.loader is not None
sys.modules["overlay_writer"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["overlay_writer"])
