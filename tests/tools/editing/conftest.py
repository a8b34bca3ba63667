"""Makes this folder's own modules importable: under --import-mode=importlib it is not on the path."""

import importlib.util
import sys
from pathlib import Path

_spec = importlib.util.spec_from_file_location("replies", Path(__file__).with_name("replies.py"))
assert _spec is not None
assert _spec.loader is not None
sys.modules["replies"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["replies"])
