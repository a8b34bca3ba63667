"""Infers the type of a task from its words."""

import re
from dataclasses import dataclass
from functools import cache

from ...profiles.vocabulary import TaskType
from .main_request import main_request
from .reading import read_task

_OPENING_WORDS, _WORDS_READ = 25, 400


@dataclass(frozen=True)
class _Sign:
    """A pattern that is evidence for a task type, with its weight."""

    task_type: TaskType
    weight: float
    pattern: re.Pattern[str]


def infer_task_type(task: str) -> TaskType:
    """The type with the greatest total weight of signs; matches in the opening count twice.

    Without any sign: documentation if it begins by asking for a change of a document, code_generation if by asking for
    another change or if it contains pasted code, else `other`.
    """
    reading = read_task(task)
    words = main_request(reading)
    if len(words) > _WORDS_READ:
        words = (*words[: _WORDS_READ * 3 // 4], *words[-_WORDS_READ // 4 :])
    opening, whole = (f" {' '.join(part)} " for part in (words[:_OPENING_WORDS], words))
    strength: dict[TaskType, float] = {}
    for sign in _signs():
        matches = (sign.pattern.search(opening) is not None) + (sign.pattern.search(whole) is not None)
        strength[sign.task_type] = strength.get(sign.task_type, 0) + sign.weight * matches
    strongest = max(strength, key=lambda task_type: strength[task_type])
    if strength[strongest] > 0:
        return strongest
    if _ANY_CHANGE.match(whole) and any(name.lower().endswith(_DOCUMENTS) for name in reading.names):
        return "documentation"
    return "code_generation" if reading.pasted_lines or _ANY_CHANGE.match(whole) else "other"


_LANGUAGES = (
    "python|javascript|typescript|rust|go|golang|java|kotlin|swift|ruby|php|perl|scala|haskell|fortran|cobol|bash|shell"
    "|powershell|sql|lua|julia|matlab|r|c|cpp|csharp|clojure|elixir|vue|react"
)

_DOCUMENTS = (".md", ".rst", ".adoc")
_ANY_CHANGE = re.compile(
    r" (please |can you |could you |in )*(allow|apply|bump|change|convert|delete|disable|drop|enable|encrypt|expose"
    r"|handle|hash|make|move|remove|replace|set|swap|update|use|validate) "
)

# On a tie the earlier type wins, so the narrower types come first. Patterns see lower-case words with single
# spaces between them, without file names, identifiers and pasted code.
_TABLE: tuple[tuple[TaskType, float, str], ...] = (
    ("review", 3, r" (review|audit|critique|code review|überprüfe|revisa|revise|relis|проверь|ревью) "),
    ("review", 3, r"(审查|评审|レビュー|검토)"),
    ("review", 2.5,
        r" (look over|look at (this|the|my) (code|diff|patch|change|pull)|feedback on|any (problems|"
        r"issues|concerns) with|what do you think of|what('s| is) wrong (with|here|in)|suggest improvements)"),
    ("review", 3, r" (is|are) (this|these|the|my) (\w+ ){0,5}(correct|idiomatic|safe|secure|sound) $"),
    ("review", 2,
        r" (find|spot|point out|check for|check (\w+ ){1,5}for|list) (any |all |the |possible |"
        r"potential )*(problems|issues|flaws|vulnerabilities|weaknesses|smells)"),
    ("translation", 4,
        rf" (convert|port|translate|transpile|rewrite|migrate|turn|reimplement)\b.{{0,90}} (to|into|"
        rf"in) (idiomatic |modern |plain )?({_LANGUAGES}) "),
    ("translation", 3,
        r" (translate|translation|transpile|localize|localise|übersetze|traduis|traduire|traduce|traducir|"
        r"traduza|переведи|перевести) "),
    ("translation", 3, rf"(翻译|翻訳|번역)|(转换|改写|移植)(成|为|到) ({_LANGUAGES}) "),
    ("translation", 2, rf" from ({_LANGUAGES}) to ({_LANGUAGES}) "),
    ("formatting", 3.5,
        r"(^ | please | and | to | you | just | then | code )format (this|these|the|my|our|all|every|code|"
        r"it|with|python|json|sql|src) "),
    ("formatting", 3.5, r" (reformat|reindent|prettify|beautify|formatiere|formate|formatea|отформатируй) "),
    ("formatting", 3, r"(格式化|フォーマット|整形|포맷)"),
    ("formatting", 3, r" (sort|order|organi[sz]e|alphabeti[sz]e|group) (all |the |these |our )*imports? "),
    ("formatting", 4.5,
        r" (indentation|whitespace|tabs to spaces|spaces to tabs|line length|prettier|code style|pep|"
        r"linter|lint (errors|warnings)|trailing commas?) "),
    ("formatting", 4.5, r" (typos?|misspell\w*|spelling|tippfehler\w*|faute de frappe|опечатк\w+|errata) "),
    ("tests", 4,
        r" (write|add|create|generate|implement|extend|need|want|schreibe?|écris|escribe|escreva|"
        r"напиши) (\w+ ){0,4}(tests?|test cases?|pytest cases|test suite|testfälle|specs|pruebas|testes|тесты) "),
    ("tests", 3,
        r" (unit tests?|unittests?|integration tests?|property based tests?|regression tests?|"
        r"(test|branch|line|code) coverage|increase coverage|improve (the )?coverage|"
        r"cover (\w+ ){0,5}with (\w+ ){0,2}tests|parametri[sz]e (\w+ ){0,2}tests|tests for) "),
    ("tests", 3, r"^ (please )?(test (the|this|that) |tests? for )"),
    ("tests", 3, r"(单元测试|测试用例|テストを(書|追加|作成)|테스트(를|코드))"),
    ("documentation", 6,
        r" (write|add|generate|improve|update|extend|create|complete) (\w+ ){0,4}(docstrings?|jsdoc|javadoc|"
        r"readme|docs|"
        r"documentation|comments?|changelog|release notes|tutorial|(user|how to|getting started) guide|adr|runbook|"
        r"commit message|(pr|pull request) description) "),
    ("documentation", 6, r" (add|put) (\w+ ){1,8}to the (readme|docs|documentation|changelog) "),
    ("documentation", 4, r" (document|dokumentiere|documente|documenta|задокументируй) "),
    ("documentation", 2,
        r" (docstrings?|jsdoc|javadoc|readme|changelog|release notes|documentation|tutorial|"
        r"dokumentation|documentación|документаци\w+|докстринг\w*) "),
    ("documentation", 3, r"(文档|注释|ドキュメント|説明書|문서|주석)"),
    ("refactoring", 4,
        r" (refactor\w*|restructure|reorgani[sz]e|clean up|cleanup (of|the|this)|simplify|"
        r"dedupe|deduplicate|decouple|modulari[sz]e|moderni[sz]e|"
        r"refaktor\w*|refactori[sz]\w*|refactoriza|рефактор\w*|отрефактор\w*) "),
    ("refactoring", 3, r"^ (please |in )*split (up )?into "),
    ("refactoring", 3,
        r" (rename|renaming|extract|inline|split (up )?(this|the)|pull out|move (\w+ ){1,6}(to|into)|"
        r"migrate (\w+ ){0,5}(from|to)|dead code|dependency injection|"
        r"duplicated? (code|logic)|duplication|nested (ifs|conditionals)|umbenennen|benenne|renomme\w*|"
        r"renombra\w*|переименуй) "),
    ("refactoring", 3, r"(重构|重命名|リファクタ|名前を変更|리팩터|리팩토)"),
    ("debugging", 4,
        r" (debug|diagnose|investigate|troubleshoot|track down|root cause|find out why|figure out why|"
        r"work out why|find the (bug|cause|reason)|what's (going on|happening)|warum|debugge|pourquoi|por qué|depura|"
        r"почему|отлад\w+) "),
    ("debugging", 3,
        r" (why (does|is|do|are|did|am|would)|intermittent\w*|memory leak|leaks memory|segfaults?|"
        r"deadlocks?|hangs|stack trace|crash(es|ing)?|only (fails|happens) (in|on|when)|stürzt)\b"),
    ("debugging", 3, r"(调试|排查|为什么|デバッグ|原因を|なぜ|디버그|왜)"),
    ("code_repair", 4,
        r" (fix|repair|patch|correct (the|this|my|it)|hotfix|resolve|behebe|repariere|corrige|corrija|"
        r"répare|arregla|beheben|korrigieren?|исправ\w+|почини|"
        r"make (it |ci |(the |all |these |this )?(\w+ ){0,2}(tests?|build|suite) )?(green|pass|compile)) "),
    ("code_repair", 3, r"(修复|修正|修理|直して|고쳐|수정)"),
    ("code_repair", 4,
        r" (failing|broken|red) (\w+ ){0,2}(tests?|builds?)|"
        r" (tests?|ci|build) (in )?(fails?|(is|are) (broken|failing|red)) "),
    ("code_repair", 2,
        r" (bugs?|doesn't work|does not work|not working|off by one|wrong (result|answer|output|value)|"
        r"incorrect\w*|regression|fehler|unexpected|is broken|merge conflicts?|(injection|xss) in|"
        r"(should|must) (be|return) (\w+ ){0,3}instead of|"
        r"expected behaviou?r)\b"),
    ("architecture", 4,
        r" (design|architect|redesign) (a|an|the|our|how|and|your|me|for|multi\w*|scal\w*|"
        r"distributed) (?!algorithm|class|function|data structure|stack|hash|iterator|method|number)"),
    ("architecture", 4,
        r" (architecture|architectural|system design|microservices|entwirf|konzipiere|architektur|conçois|"
        r"diseña|arquitectura|arquitetura|спроектируй|архитектур\w+) "),
    ("architecture", 4, r"(架构|设计|アーキテクチャ|設計|설계|아키텍처)"),
    ("architecture", 4.5, r" (migration|rollout) (plan|strategy) "),
    ("architecture", 3,
        r" (how (should|would|do) (we|you|i) (structure|organi[sz]e|split|build|scale)|propose (a|"
        r"an) (\w+ ){0,3}(structure|plan|schema|layout)|(plan|strategy) (for|to) (migrat|"
        r"split|mov|break)\w*|break up|decompose|trade ?offs)\b"),
    ("reasoning", 4,
        r" (explain (why|how|what|the|step)|how (does|do) (\w+ ){1,5}work|"
        r"prove|proof|derive|deduce|compare|which (of these|of the two|one|"
        r"approach|option) (is|are|would|should|scales)|pros and cons|what is the (time |space |big o |"
        r"worst case )*complexity|what (does|would|happens)|reason about|estimate (the|how)|erkläre|"
        r"explique|explica|докажи|объясни)\b"),
    # A request for an explanation outweighs the noun it is about, unless it also asks for a change.
    ("reasoning", 5.5,
        r"^ (please |can you |could you )?(explain|describe|summari[sz]e) (?!.*\b(fix|repair|correct|write|implement|"
        r"create|refactor|rewrite|simplify|convert|port|translate|improve|optimi[sz]e|generate|debug) )"),
    ("reasoning", 3, r"(解释|证明|说明为什么|説明して|証明|설명|증명)"),
    ("code_generation", 3,
        r" (write|implement|create|build|develop|code|generate|program|make|schreibe?|implementiere|"
        r"erstelle|écris|implémente|crée|escribe|implementa|crea|escreva|crie|напиши|реализуй|"
        r"создай) (me|us|a|an|the|some|code|this|in|new|simple|small|\w+ (function|class|script)) "),
    ("code_generation", 3, r"(编写|写一个|实现|関数を書|実装|作成して|작성|구현)"),
    ("code_generation", 2,
        r" (function|method|(?<!test )class|script|endpoint|program|component|cli|command line tool|regex|query|"
        r"algorithm|decorator|api|funktion|fonction|función|função|функци\w+) "),
    ("code_generation", 2,
        r" (return the|returns the|print the|you are given|given (a|an|two|the)|add (a|an|support|the)|"
        r"starter code|compute the|complete the) ?"),
    ("code_generation", 3, r" (fill in|complete) (\w+ ){0,3}(implementation|body|todos?) "),
    ("code_generation", 1, r" (write|implement|build|create|develop|add|train|support|upgrade|schreibe?|напиши) "),
)  # fmt: skip


@cache
def _signs() -> tuple[_Sign, ...]:
    """The table, compiled on first use to keep the server's start fast."""
    return tuple(_Sign(task_type, weight, re.compile(pattern)) for task_type, weight, pattern in _TABLE)
