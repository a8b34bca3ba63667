"""Checks JSON, YAML, TOML and XML with exact parsers.

JSON by RFC 8259, TOML 1.0 by Python's own parser, YAML 1.1 by PyYAML (seen 2026-11-24), XML 1.0 with namespaces by
expat.
"""

import json
import re
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from xml.parsers import expat

import yaml

from .reading import finding_at, line_at, not_checked, static_result
from .result import CheckResult, Finding

# What is never closed is taken whole and left to the parser: to look on from each character takes quadratic time.
_STRING = r'"(?:[^"\\\n]|\\.)*(?:"|\\?)'
_COMMENT = re.compile(rf"({_STRING}|/\*(?!.*?\*/).*)|//[^\n]*|/\*.*?\*/", re.DOTALL)
_TRAILING_COMMA = re.compile(rf"({_STRING})|,(?=\s*[}}\]])")
_TOO_DEEP = "nested too deeply to read"
_TEMPLATE = re.compile(r"\{%|\{\{-|-\}\}|^\s*\{\{", re.MULTILINE)
"""What Jinja, Django, Helm and Go write into data files, and no value of one of them is likely to contain."""
_WHOLE_XML = re.compile(r"<\?xml\b|<!DOCTYPE\b|\bxmlns\b")
_WRONG_IN_WHOLE_XML = {expat.errors.codes[error] for error in ("junk after document element", "unbound prefix")}
"""Errors that only the elements around an excerpt could mend."""
_YAML_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C loader is ten times as fast, but not every PyYAML is built with it."""


def check_json(code: str) -> CheckResult:
    began = time.monotonic()
    findings: list[Finding] = []
    try:
        # Numbers are not converted: long ones are valid JSON, but int() rejects them.
        json.loads(code, parse_constant=_refuse, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        findings = [finding_at(line_at(code, error.pos), "error", error.msg, "json", code)]
    except _NotJson as error:
        findings = [finding_at(line_at(code, _first(error.word, code)), "error", str(error), "json", code)]
    except RecursionError:
        return not_checked(_TOO_DEEP)
    return static_result("parse", findings, began)


def check_jsonc(code: str) -> CheckResult:
    """JSON with comments and trailing commas, as in tsconfig.json."""
    return check_json(_TRAILING_COMMA.sub(r"\1 ", _COMMENT.sub(_blank, code)))


def check_toml(code: str) -> CheckResult:
    began = time.monotonic()
    findings: list[Finding] = []
    try:
        tomllib.loads(code, parse_float=str)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+)", str(error))
        line = int(place[1]) if place else code.count("\n") + 1
        findings = [finding_at(line, "error", re.sub(r" \(at .*\)$", "", str(error)), "toml", code)]
    except (RecursionError, ValueError):  # ValueError: a number too long for int(), which TOML permits
        return not_checked(_TOO_DEEP)
    return static_result("parse", findings, began)


def check_yaml(code: str) -> CheckResult:
    began = time.monotonic()
    findings: list[Finding] = []
    try:
        if (undefined := _undefined_alias(code)) is not None:
            findings = [undefined]
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        findings = [finding_at(line, "error", error.problem or "invalid", "yaml", code)]
    except yaml.reader.ReaderError as error:
        findings = [finding_at(line_at(code, error.position), "error", f"{error.reason}", "yaml", code)]
    except RecursionError:
        return not_checked(_TOO_DEEP)
    return static_result("parse", findings, began)


def check_xml(code: str) -> CheckResult:
    """Whether it is well-formed. Nothing outside of it is read, and no entity of its own is expanded."""
    began = time.monotonic()
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    parser.EntityDeclHandler = _refuse_entity
    try:
        parser.Parse(code.encode(), True)
    except _DeclaresEntities:
        return not_checked("it declares entities, which can expand without end")
    except expat.ExpatError as error:
        message = expat.errors.messages[error.code]
        if error.code not in _WRONG_IN_WHOLE_XML or _WHOLE_XML.search(code):
            return static_result("parse", [finding_at(error.lineno, "error", message, "xml", code)], began)
        finding = finding_at(error.lineno, "warning", message, "xml", code)
        note = f"not certain: {message} at line {error.lineno}; right only in an excerpt"
        return replace(CheckResult("parse", "not_run", note=note), findings=(finding,))
    return static_result("parse", [], began)


_PARSERS: Mapping[str, Callable[[str], CheckResult]] = {
    "json": check_json,
    "jsonc": check_jsonc,
    "toml": check_toml,
    "xml": check_xml,
    "yaml": check_yaml,
}
EXACT = frozenset(_PARSERS)
"""The languages that are parsed here."""


def check_exactly(code: str, language: str) -> CheckResult:
    """`parse` by the language's parser. `not_run` for a template that is none before it is filled in.

    language: one of EXACT.
    """
    result = _PARSERS[language](code)
    if result.outcome == "failed" and _TEMPLATE.search(code):
        return not_checked(f"it is a template, and no {language} before that is filled in")
    return result


def _blank(comment: re.Match[str]) -> str:
    """A string as it is, and a comment without anything but its line ends."""
    return comment[1] or re.sub(r"[^\n]", " ", comment[0])


def _undefined_alias(code: str) -> Finding | None:
    """The first undefined alias, from the parser's events. Raises YAMLError for invalid YAML.

    The documents are not composed: the composer recurses in C and crashes on deep nesting.
    """
    anchors: set[str] = set()
    for event in yaml.parse(code, Loader=_YAML_LOADER):
        if isinstance(event, yaml.DocumentStartEvent):
            anchors = set()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                line = event.start_mark.line + 1 if event.start_mark else None
                return finding_at(line, "error", f"undefined alias {event.anchor}", "yaml", code)
        elif isinstance(event, yaml.NodeEvent) and event.anchor:
            anchors.add(event.anchor)
    return None


class _NotJson(ValueError):
    """NaN or an infinity, which Python's parser accepts and RFC 8259 does not."""

    def __init__(self, word: str) -> None:
        super().__init__(f"{word} is not JSON")
        self.word = word


def _refuse(word: str) -> object:
    raise _NotJson(word)


def _first(word: str, code: str) -> int:
    """The position of a bare word outside strings."""
    for match in re.finditer(rf'"(?:[^"\\]|\\.)*"|({re.escape(word)})', code):
        if match[1]:
            return match.start()
    return 0


class _DeclaresEntities(Exception):
    """A document type with entities."""


def _refuse_entity(*_declared: object) -> None:
    raise _DeclaresEntities
