// Runs inside the sandbox: the answer, then the tests, then writes one verdict that starts with a nonce.
//
// Started as `node --test-reporter=THIS --test-reporter-destination=stderr THIS < JOB`. The job is JSON,
// see `running_node.py`. The verdict goes to descriptor 3: the nonce, then JSON with `status`, as
// inside_tests.py has it. The nonce is read before the answer runs and lives in one closure.
//
// As a reporter of node:test it receives the results of every test, and counts only those of the tests' own
// file: tests defined by the answer do not count.

import assert from "node:assert";
import fs from "node:fs";
import * as nodeModule from "node:module";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { inspect } from "node:util";

const { Module, createRequire } = nodeModule;
const REPORT_FD = 3;
const ENOUGH = 16000;

// The folders of the answer's modules and of the tests. With a project both are in its copy, which is the working
// folder, so that tests use paths relative to its root.
let folder = path.join(os.tmpdir(), "solution");
let solution = null;
let names = null;

let isTaken = true; // false only once, for node:test itself, before the answer is loaded

// An async generator, because node:test treats any other function as a class.
export default async function* report(source) {
  if (isTaken) throw new Error("the reporter is taken");
  isTaken = true;
  for await (const event of source) count(event);
  whenTestsEnded();
}

let passed = 0;
let total = 0;
let firstFailure = null;
const lateTests = new Set();
let testsFile = null;
let whenTestsEnded = () => {};
let missingModule = null;

async function main() {
  const job = JSON.parse(fs.readFileSync(0, "utf8"));
  const send = sender(job.nonce);
  delete job.nonce;
  const fail = (error) => send(failed(error));
  guard();
  try {
    prepare(job);
  } catch (error) {
    return send({ status: "broken_tests", failure: text(error) });
  }
  const watch = () => {
    for (const name of ["uncaughtException", "unhandledRejection"]) {
      process.removeAllListeners(name);
      process.on(name, fail);
    }
    process.removeAllListeners("beforeExit");
    process.removeAllListeners("exit");
  };
  if (job.kind === "module") await startNodeTest();
  else {
    watch();
    constant("process$exit", exitOfTheTests(send));
  }
  try {
    await loadAnswer(job);
  } catch (error) {
    return fail(error);
  }
  if (job.kind === "script") watch(); // before this, the answer may have added listeners while loading
  testsFile = `${job.inProject ? path.resolve(".chargehand-tests") : `${folder}/tests`}.${job.testsAre === "esm" ? "mjs" : "cjs"}`;
  let isEnded = false;
  whenTestsEnded = () => isEnded && send(counted());
  try {
    await runTests(job);
  } catch (error) {
    const isTheirs =
      (error instanceof SyntaxError && !/does not provide an export/.test(error.message)) ||
      (error instanceof ReferenceError && /^(?:test|it|describe|expect) is not defined$/.test(error.message));
    return isTheirs ? send({ status: "broken_tests", failure: text(error) }) : fail(error);
  }
  isEnded = true;
  if (job.kind === "module") return; // node:test reports when the event loop is empty
  const end = () => send(ended(process.exitCode));
  if (job.waits) process.on("beforeExit", end);
  else end();
}

// Sends the verdict and exits at once, with functions saved before the answer was loaded.
// The verdict has no prototype, so that nothing the answer added to Object.prototype is called.
function sender(nonce) {
  const write = fs.writeSync;
  const leave = process.reallyExit.bind(process);
  const encode = JSON.stringify;
  const { assign, create } = Object;
  return (verdict) => {
    write(REPORT_FD, nonce + encode(assign(create(null), verdict)));
    leave(0);
  };
}

// Replaces `process.exit` in the tests. Elsewhere it ends the process without a verdict.
function exitOfTheTests(send) {
  const { captureStackTrace } = Error;
  const exit = process.exit.bind(process);
  return function leave(code = process.exitCode) {
    const { prepareStackTrace, stackTraceLimit } = Error;
    const trace = {};
    Object.assign(Error, { stackTraceLimit: 100, prepareStackTrace: (_, sites) => sites.map((s) => s.getFileName()) });
    captureStackTrace(trace, leave);
    const files = trace.stack;
    Object.assign(Error, { stackTraceLimit, prepareStackTrace });
    const isTheirs = (file) => file === testsFile || file === `file://${testsFile}`;
    const isNodes = (file) => file == null || file.startsWith("node:") || file === import.meta.url;
    if (isTheirs(files[0]) && files.every((file) => isTheirs(file) || isNodes(file))) send(ended(code));
    exit(code);
  };
}

// The result of a test script that exited by itself. Node.js also accepts a numeric string.
function ended(code) {
  if (Number(code ?? 0) === 0) return { status: "passed" };
  return { status: "failed", failure: `the tests exited with code ${code}`, was_printed: true };
}

// Assertions that the answer cannot weaken, as globals that it cannot replace.
function guard() {
  for (const one of [assert, assert.strict, assert.AssertionError]) Object.freeze(one);
  constant("assert", assert);
  const assertTrue = assert.ok;
  const check = (ok, ...said) => assertTrue(ok, said.length ? said.join(" ") : undefined);
  Object.defineProperty(console, "assert", { value: check });
  process.binding = undefined; // gives access to the functions that write the verdict
}

function constant(name, value) {
  Object.defineProperty(globalThis, name, { value, writable: false, configurable: false });
}

function prepare(job) {
  if (job.typescript) {
    job.answer = withoutTypes(job.answer);
    job.tests = withoutTypes(job.tests);
  }
  if (job.inProject) folder = path.resolve(job.folder);
  solution = `${folder}/solution.js`;
  names = `${folder}/names.js`;
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(`${folder}/package.json`, '{"type": "module"}');
}

function withoutTypes(code) {
  const strip = nodeModule.stripTypeScriptTypes;
  try {
    return strip(code);
  } catch (error) {
    if (error.code !== "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX") throw error;
    return strip(code, { mode: "transform" });
  }
}

// Makes node:test bind its only reporter, this module, before any code of the answer runs.
async function startNodeTest() {
  const nodeTest = await import("node:test");
  isTaken = false;
  await nodeTest.test("start", () => {});
  while (!isTaken) await new Promise((resume) => setImmediate(resume));
  for (const name of ["describe", "it", "test", "suite", "before", "after", "beforeEach", "afterEach", "mock"]) {
    if (nodeTest[name] !== undefined) constant(name, nodeTest[name]);
  }
}

// The answer becomes the module ./solution.js for `import` and for `require`, and ./names.js exports all of its
// top-level names. The file of a project is loaded from there, once, so that it finds its neighbours.
async function loadAnswer(job) {
  const file = job.file ? path.resolve(job.file) : solution;
  if (job.answerIs === "esm") {
    fs.writeFileSync(file, job.answer);
    const namespace = await import(pathToFileURL(file));
    if (job.file) fs.writeFileSync(solution, passingOn(pathToFileURL(file), namespace));
    fs.writeFileSync(names, 'export * from "./solution.js";');
    provide(solution, namespace);
    provide(names, namespace);
    return;
  }
  for (const empty of [solution, names]) fs.writeFileSync(empty, "");
  const module = new Module(file);
  module.filename = file;
  module.paths = job.file ? Module._nodeModulePaths(path.dirname(file)) : [];
  if (job.file) Module._cache[file] = module;
  module._compile(job.answer, file);
  module.loaded = true;
  const own = module.names ?? {};
  const exported = module.exports;
  const isEmpty = exported !== null && typeof exported === "object" && Object.keys(exported).length === 0;
  const given = isEmpty ? own : exported;
  const all = { ...own, ...(given === Object(given) ? given : {}) };
  provide(solution, given);
  provide(names, all);
  fs.writeFileSync(solution, facade(solution, all));
  fs.writeFileSync(names, facade(names, all));
}

function passingOn(url, namespace) {
  const from = JSON.stringify(url.href);
  return `export * from ${from};${"default" in namespace ? ` export { default } from ${from};` : ""}\n`;
}

function provide(file, exported) {
  Module._cache[file] = Object.assign(new Module(file), { filename: file, loaded: true, exports: exported });
}

// An ES module that exports what `require` returns.
function facade(file, exported) {
  const lines = [
    'import { createRequire } from "node:module";',
    "const require = createRequire(import.meta.url);",
    `const given = require("${file}");`,
    `const all = require("${names}");`,
    "export default given?.__esModule ? given.default : given;",
  ];
  for (const name of Object.keys(exported)) {
    if (!/^[A-Za-z_$][\w$]*$/.test(name) || name === "default") continue;
    lines.push(`const $_${name} = all.${name}; export { $_${name} as ${name} };`);
  }
  return lines.join("\n");
}

async function runTests(job) {
  if (job.testsAre === "esm") {
    fs.writeFileSync(testsFile, job.tests);
    await import(`file://${testsFile}`);
    return;
  }
  const module = new Module(testsFile);
  module.filename = testsFile;
  module.paths = [];
  module._compile(job.tests, testsFile);
}

// node:test's message for an error raised after its test has ended, or outside any test. node:test continues and
// makes Node.js exit with 1 (lib/internal/test_runner/harness.js, seen 2026-11-30).
const LATE =
  /^(?:Error|Warning): (.*?)(?: at \S+)? generated asynchronous activity after the test ended\..* created the error "(.*)" (?:and would have|which triggered) /s;

function count(event) {
  const data = event.data;
  const late = event.type === "test:diagnostic" && LATE.exec(data.message);
  if (late) {
    lateTests.add(late[1]);
    firstFailure ??= `${late[1]}, after it had ended:\n${late[2].slice(0, ENOUGH)}\nA test must await or return what it starts.`;
  }
  if (event.type !== "test:pass" && event.type !== "test:fail") return;
  if (data.file !== testsFile && data.file !== `file://${testsFile}`) return;
  const isSuite = data.details.type === "suite";
  const excused = data.skip !== undefined || data.todo !== undefined;
  if (event.type === "test:fail" && !excused) {
    const error = data.details.error;
    if (!isSuite || error.failureType !== "subtestsFailed") note(data.name, error.cause ?? error);
  }
  if (isSuite) return;
  total += 1;
  if (event.type === "test:pass" && !excused) passed += 1;
}

function note(name, error) {
  missingModule ??= missing(error);
  firstFailure ??= `${name}\n${text(error)}`;
}

function counted() {
  const inTime = Math.max(0, passed - lateTests.size);
  const verdict = { passed: inTime, total, failure: firstFailure, missing_module: missingModule };
  if (firstFailure !== null) return { ...verdict, status: "failed" };
  return { ...verdict, status: passed > 0 ? "passed" : "no_tests" };
}

function failed(error) {
  return { status: "failed", failure: text(error), missing_module: missing(error) };
}

function missing(error) {
  const code = error?.code;
  if (code !== "MODULE_NOT_FOUND" && code !== "ERR_MODULE_NOT_FOUND") return null;
  const found = /Cannot find (?:package|module) '([^'./][^']*)'/.exec(error.message);
  return found === null ? null : found[1];
}

function text(error) {
  let said;
  try {
    said = error instanceof Error && typeof error.stack === "string" ? error.stack : `thrown: ${inspect(error)}`;
  } catch {
    said = "an error that cannot be shown";
  }
  const lines = said.split("\n").filter((line) => !/^\s+at .*(?:node:|\/checker\/)/.test(line));
  return lines.join("\n").slice(0, ENOUGH);
}

if (process.argv[1] === new URL(import.meta.url).pathname) main();
