"""Tells what a task mainly asks for from what it adds ("and update the docs") and rules out ("no tests needed")."""

import re

from .reading import Reading, words_of


def main_request(reading: Reading) -> tuple[str, ...]:
    """The task's words without what it rules out, and without tests and documentation that it wants beside other work.

    The order decides: "Fix the cart and add tests" asks for a repair, "Write tests for the cart and fix it" for tests.
    """
    kept: list[str] = []
    has_other_work = False
    for clause in _CLAUSE_END.split(reading.own_text):
        said = "".join(f"{word} " for word in words_of(clause))
        if _RULED_OUT.match(said) or (has_other_work and _ADDITION.match(said)):
            continue
        if _OTHER_WORK.match(said):
            has_other_work = True
            said = _ATTACHED.sub("", said)
        elif _ADDITION.match(said):
            said = _SECOND_OBJECT.sub("", said)
        kept += said.split()
    return tuple(kept) or reading.words


_DOCS = (
    r"(?:docs?|docstrings?|documentation|jsdoc|javadoc|readme|changelog|release notes|guide|dokumentation"
    r"|documentación)"
)
_TESTS_OR_DOCS = rf"(?:(?:unit)?tests?|specs|testfälle|pruebas|comments?|{_DOCS})\b"
# Verbs whose object decides: one writes a function, or tests, or documentation.
_CREATE = r"(?:add|create|generate|write|füge?|schreibe?|ajoute|écris|añade|escribe)"
_EXTEND = r"(?:adjust|complete|extend|improve|include|provide|put|update|ergänze?|actualiza)"
_CHANGE = (
    r"(?:allow|build|change|convert|correct|debug|delete|develop|drop|expose|extract|fix|handle|implement|inline"
    r"|introduce|investigate|make(?! sure)|migrate|move|optimi[sz]e|patch|port|refactor|remove|rename|repair|replace"
    r"|resolve|rewrite|simplify|split|support|translate"
    r"|behebe|implementiere|korrigiere|repariere|corrige|implémente|répare|arregla|corrija|crea|implementa)"
)
_COURTESY = (
    r"(?:(?:please|also|then|in|(?:can|could|would) you|(?:i|we) (?:need|want)(?: you)? to|your task is to|you should"
    r"|task|goal|objective|bitte|también|aussi) )*"
)
# Not as a noun at the beginning of a statement: "Support for TOML was added", "The build fails".
_IMPERATIVE = r"(?! (?:for|fails|failed|has|is|was)\b)"
_UP_TO_OBJECT = r"(?:(?!(?:and|by|plus|so|that|until|when|which) )\w+ ){0,6}"
_UP_TO_FIRST_OBJECT = r"(?:with )?(?:(?!(?:and|by|including|plus|so|that|until|when|which|with) )\w+ ){0,6}"

_CLAUSE_END = re.compile(
    r"[.;!?:](?=\s|$)|[,\n\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f]|并(?=添加|补充|更新|编写)"
    rf"| (?:and|then|plus|und|et|y) (?=(?:also )?(?:{_CREATE}|{_EXTEND}|{_CHANGE}|document|do not|don't|no)\b)",
    re.IGNORECASE,
)
_RULED_OUT = re.compile(
    r"(?:please |but )*(?:do not|don['\u2019]t) (?:add|change|create|edit|explain|format|generate|include|modify"
    r"|refactor|rename|rewrite|run|touch|translate|update|write)\b"
    rf"|(?:no|keine|sin|sans|pas de) .*{_TESTS_OR_DOCS}(?: needed| required| necessary| please)* $"
    r"|(?:请)?(?:不需要|不要|不用|无需)"
)
_ADDITION = re.compile(
    rf"{_COURTESY}(?:document |(?:{_CREATE}|{_EXTEND}) .*?{_TESTS_OR_DOCS}|(?:\w+ ){{0,2}}{_TESTS_OR_DOCS}(?: too)? $)"
    r"|(?:请|并|同时|再)*(?:添加|补充|更新|编写).*(?:测试|文档|注释|说明)"
)
_OTHER_WORK = re.compile(
    rf"{_COURTESY}(?:{_CREATE} (?!{_UP_TO_FIRST_OBJECT}{_TESTS_OR_DOCS})"
    rf"|{_EXTEND} (?!{_UP_TO_OBJECT}{_TESTS_OR_DOCS})"
    rf"|{_CHANGE}{_IMPERATIVE} (?!(?:\w+ ){{0,2}}{_DOCS}\b))|.{{0,9}}(?:修复|修正|实现|重构)"
)
_SECOND_OBJECT = re.compile(rf" (?:plus|and) (?:\w+ ){{0,2}}{_TESTS_OR_DOCS}.*")
_ATTACHED = re.compile(rf" (?:with|including|plus|and) (?:\w+ ){{0,2}}{_TESTS_OR_DOCS}.*")
