"""What the body of an error says, and how much of it may be shown."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import cast

_READ_LENGTH = 10_000
_REASON_LENGTH = 160
_QUOTE_LENGTH = 16
"""A substring of this length that occurs in both a reason and a prompt counts as a quotation."""
_SHORTEST_SECRET = 6
_PAGE = re.compile(r"<(?:!doctype|html|head)\b", re.IGNORECASE)
_TAG = re.compile(r"<title>.*?</title>|<[^<>]{0,500}>", re.IGNORECASE | re.DOTALL)


def text_in(body: object) -> str:
    """The message in a decoded body, in the forms that vendors and gateways use. Empty: none.

    Seen: `error.message` (vendors), `message` (Portkey), `detail` (FastAPI), plain text or a page (proxies), and one of
    these as JSON in a text (what Ollama passes on from llama-server: `llm/llama_server.go` at 0.34, seen 2026-11-30).
    """
    if isinstance(body, str):
        return _text_in_json(body) or body
    if not isinstance(body, Mapping):
        return ""
    fields = cast(Mapping[str, object], body)
    return next((text for name in ("error", "message", "detail") if (text := text_in(fields.get(name)))), "")


def _text_in_json(text: str) -> str:
    try:
        return text_in(json.loads(text)) if text.lstrip().startswith("{") else ""
    except (ValueError, RecursionError):
        return ""


def sanitised(text: str, private: Sequence[str]) -> str:
    """A vendor's message made safe to show: one short line, or empty when it quotes a text in `private`.

    Of a page, the words without their tags.
    """
    head = text[:_READ_LENGTH]
    words = _TAG.sub(" ", head) if _PAGE.search(head) else head
    line = re.sub(r"\s+", " ", re.sub(r"[^\x20-\x7e]", " ", words)).strip()[:_REASON_LENGTH]
    windows = [line[start : start + _QUOTE_LENGTH] for start in range(max(1, len(line) - _QUOTE_LENGTH + 1))]
    is_quotation = any(window and window in secret for secret in private for window in windows) or any(
        len(secret) >= _SHORTEST_SECRET and secret in line for secret in private
    )
    return "" if is_quotation else line
