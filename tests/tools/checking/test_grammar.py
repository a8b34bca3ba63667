"""Parsing by grammars: programs that are valid in their language pass, and invalid ones do not."""

import pytest
from snippets import INVALID, VALID

from chargehand.tools.checking.data_formats import EXACT
from chargehand.tools.checking.grammar import BYTES_AT_MOST, GRAMMARS
from chargehand.tools.checking.parse import check_parse

pytestmark = pytest.mark.anyio

CERTAIN = ["javascript", "go", "java", "ruby", "yaml", "toml", "jsonc", "xml"]
"""Languages whose grammar rejects no valid program, by the data in grammar.py."""


def programs(corpus: dict[str, list[str]], *, languages: list[str]):
    return [(language, code) for language in languages for code in corpus[language]]


def test_there_are_valid_and_invalid_programs_for_every_parsed_language():
    languages = {*GRAMMARS, *EXACT} - {"json"}

    assert set(VALID) == set(INVALID) == languages


@pytest.mark.parametrize(("language", "code"), programs(VALID, languages=[*VALID]))
async def test_valid_programs_never_fail(language, code):
    result = await check_parse(code, language)

    assert result.outcome != "failed", result.findings


@pytest.mark.parametrize("language", [language for language in VALID if language != "php"])
async def test_valid_programs_pass_in_all_languages_except_php(language):
    """PHP's grammar rejects templates, so its errors are only suspicions."""
    outcomes = [(await check_parse(code, language)).outcome for code in VALID[language]]

    assert outcomes == ["passed"] * len(outcomes)


@pytest.mark.parametrize(("language", "code"), programs(INVALID, languages=CERTAIN))
async def test_invalid_programs_fail_in_languages_with_a_reliable_grammar(language, code):
    result = await check_parse(code, language)

    assert result.outcome == "failed"
    assert result.findings[0].severity == "error"
    assert result.findings[0].line is not None


@pytest.mark.parametrize(("language", "code"), programs(INVALID, languages=[n for n in INVALID if n not in CERTAIN]))
async def test_invalid_programs_in_other_languages_are_only_suspected(language, code):
    result = await check_parse(code, language)

    assert result.outcome == "not_run"
    assert result.first_failure is None
    (finding,) = result.findings
    assert (finding.severity, finding.source) == ("warning", f"tree-sitter {language}")
    assert finding.message.startswith("syntax-suspect: ")
    assert (result.note or "").startswith(f"not certain: {language} may be wrong at line ")


NEWER_SYNTAX = {
    "go": [
        "package a\n\nvar Primes = []int{2, 3, 5}",
        "package a\n\nconst Limit = 3",
        "package a\n\nfunc f() *int64 {\n\treturn new(int64(300))\n}\n",
    ],
    "java": [
        "import module java.base;\n\nclass A {\n}\n",
        "class A extends B {\n  A(int x) {\n    if (x < 0) {\n      throw new E();\n    }\n    super(x);\n  }\n}\n",
    ],
    "javascript": [
        "class A {\n  accessor a = 1; static accessor #b = 2\n  @logged @bounded(3) accessor ['c'] = 3;\n}",
        "@(found.by('name'))\nclass A {\n  accessor = 1\n}",
        "import defer * as a from 'a';\nimport source b from './b.wasm';\nimport source from 'c';",
        "const a = await import.source('./a.wasm'), b = await import.defer('b');",
        "export * from './a.json' with { type: 'json' };\nimport b from './b.json' assert { type: 'json' };",
        "const path = String.raw`C:\\users\\${name}\\xavier`;",
        "[(a), (b.c)] = d; ({ e: (f) = 1 } = g);",
    ],
    "ruby": ["def greet = puts 'hi'\n", "class A\n  private def put(a, b) = puts a, b\nend\n"],
}
"""Syntax of newer compilers, and files without a final line ending."""


@pytest.mark.parametrize(("language", "code"), programs(NEWER_SYNTAX, languages=[*NEWER_SYNTAX]))
async def test_newer_syntax_passes_and_does_not_hide_an_error_after_it(language: str, code: str):
    broken = await check_parse(f"{code}\n)\n", language)

    assert (await check_parse(code, language)).outcome == "passed"
    assert broken.outcome == "failed"
    assert [finding.line for finding in broken.findings] == [code.count("\n") + 2]


async def test_a_missing_token_is_reported_with_its_line():
    result = await check_parse("function f() {\n  g(1;\n}\n", "javascript")

    (finding,) = result.findings
    assert (finding.line, finding.quote, finding.message) == (2, "g(1;", "`)` is missing here")


async def test_an_undefined_yaml_alias_fails_and_a_defined_one_passes():
    assert (await check_parse("a: &x 1\nb: *x\n", "yaml")).outcome == "passed"
    assert (await check_parse("a: *x\n", "yaml")).findings[0].message == "undefined alias x"


@pytest.mark.parametrize("excerpt", ["<a/>\n<b/>\n", '<View android:id="@+id/a"/>\n'])
async def test_an_excerpt_of_xml_is_only_suspected(excerpt: str):
    result = await check_parse(excerpt, "xml")

    assert (result.outcome, [finding.severity for finding in result.findings]) == ("not_run", ["warning"])


async def test_xml_whose_entities_could_expand_without_end_is_not_checked():
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'

    assert (await check_parse(bomb, "xml")).outcome == "not_run"


@pytest.mark.parametrize(
    ("language", "template"),
    [
        ("yaml", "{{- if .Values.ingress.enabled }}\nkind: Ingress\n{{- end }}\n"),
        ("yaml", "{% for host in hosts %}\n- name: {{ host }}\n{% endfor %}\n"),
        ("xml", "{% load i18n %}<urlset>\n{% if a < b %}<url/>{% endif %}</urlset>\n"),
    ],
)
async def test_a_template_of_a_data_file_is_not_checked(language: str, template: str):
    assert (await check_parse(template, language)).outcome == "not_run"


@pytest.mark.parametrize("language", ["javascript", "rust", "yaml", "toml"])
async def test_code_that_is_nested_too_deeply_does_not_crash_the_parser(language):
    result = await check_parse(("x: " if language == "yaml" else "x = ") + "[" * 50_000, language)

    assert result.outcome in ("failed", "not_run")


async def test_a_file_that_is_too_large_is_not_checked():
    result = await check_parse("f();\n" * (BYTES_AT_MOST // 4), "javascript")

    assert (result.outcome, result.note) == ("not_run", "not checked: larger than 500 kB")


async def test_jsx_is_javascript_and_tsx_is_typescript():
    assert (await check_parse("const a = <b c={1}>d</b>;", "jsx")).outcome == "passed"
    assert (await check_parse("const a: E = <b c={1}>d</b>;", "tsx")).outcome == "passed"
