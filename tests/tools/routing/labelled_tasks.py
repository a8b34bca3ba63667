"""Tasks with a reasonable range of complexity scores for each."""

from dataclasses import dataclass

from chargehand.profiles.vocabulary import TaskType


@dataclass(frozen=True)
class LabelledTask:
    task: str
    task_type: TaskType
    least: float
    most: float


def _all(task_type: TaskType, least: float, most: float, *tasks: str) -> tuple[LabelledTask, ...]:
    return tuple(LabelledTask(task, task_type, least, most) for task in tasks)


MECHANICAL = (
    *_all(
        "formatting", 1, 2,
        "Fix the typo in the README: 'recieve' should be 'receive'.",
        "There is a spelling mistake in the error message of login.py, please correct it",
        "Reformat this file with black.",
        "Sort the imports in app/main.py alphabetically",
        "Remove trailing whitespace from every file in src/",
        "Convert tabs to spaces in the Makefile snippet below and keep everything else the same",
        "Fix the indentation of this block",
        "In the architecture docs, the word 'distributed' is misspelled; fix the typo.",
    ),
    *_all(
        "refactoring", 1, 2,
        "Rename the variable `tmp` to `total_price` in this function.",
        "Please rename the class UserMgr to UserManager everywhere",
        "rename foo to bar",
        "Could you kindly rename the method getData() to fetch_data() in services/client.py? Thank you so much!",
        "Rename the field user_id to account_id in the distributed cache module.",
        "Benenne die Variable x in anzahl um",
        "Renomme la fonction calc en calculer_total",
        "Renombra la variable x a contador",
        "Переименуй переменную x в count",
        "把变量 x 重命名为 count",
        "変数 x の名前を変更して count にしてください",
    ),
    *_all(
        "code_repair", 1, 2,
        "fix typo in function name `calcualte_total`",
        "The label says 'Sumbit'. Fix the typo.",
        "Korrigiere den Tippfehler in der Überschrift",
        "Corrige la faute de frappe dans le titre",
        "Missing semicolon on line 14, please add it.",
    ),
    *_all(
        "other", 1, 2,
        "Bump the version number to 2.3.1 in pyproject.toml",
        "Change the default timeout from 30 to 60 seconds",
        "Update the copyright year in the footer",
        "Remove the unused import in utils.py",
    ),
)  # fmt: skip

SMALL = (
    *_all(
        "code_generation", 2, 4,
        "Write a function that checks whether a string is a palindrome.",
        "Write a Python function that returns the n-th Fibonacci number",
        "Implement a function to remove duplicates from a list while keeping the order.",
        "Create a small helper that converts Celsius to Fahrenheit.",
        "Write a function to find the longest common prefix among a list of strings.",
        "I need a method that parses an ISO 8601 date and returns a datetime",
        "Write a regex that matches a US phone number",
        "Write a bash script that deletes files older than 30 days in /var/log/app",
        "Add a --verbose flag to the command line tool",
        "Build a CLI tool that renames files in bulk by a pattern.",
        "Schreibe eine Funktion, die zwei Listen zusammenführt",
        "Écris une fonction qui compte les voyelles d'une chaîne",
        "编写一个函数,判断一个数是否为质数",
        "Напиши функцию, которая переворачивает строку",
    ),
    *_all(
        "tests", 2, 4,
        "Write unit tests for the add() function.",
        "Add a pytest test case for the empty list in test_sum.py",
    ),
    *_all(
        "documentation", 1, 4,
        "Write a docstring for this function.",
        "Document the public methods of the Cart class.",
        "Add an example of usage to the README",
    ),
    *_all(
        "translation", 2, 4,
        "Translate this function from Python to JavaScript.",
        "Convert this SQL query to an ORM expression in Django",
    ),
)  # fmt: skip

MODULE = (
    *_all(
        "code_repair", 4, 7,
        "Users are logged out at random after a password change. Fix the bug in the session module so that existing "
        "sessions stay valid on other devices and the refresh token is rotated; session.py and tokens.py are attached.",
        "The import module drops the last row of every CSV file when the file does not end with a newline, and it "
        "miscounts rows with quoted line breaks. Repair it without changing the public API and add a regression test.",
        "Fix the pagination bug in the orders API module: page 2 repeats the last item of page 1 when two orders have "
        "the same timestamp. Handle concurrent inserts as well.",
    ),
    *_all(
        "debugging", 4, 7,
        "The cache layer returns stale values after an update, but only under load. Find out why and fix the module.",
        "Our parser module crashes on nested comments; find the root cause and fix it. It must keep passing the tests "
        "in tests/parser/.",
        "Investigate why the worker's memory grows by 50 MB per hour in the image module and stop the memory leak.",
    ),
    *_all(
        "refactoring", 4, 7,
        "Refactor the billing module: split the 900-line Invoice class into components with a clean API, keep "
        "backwards compatibility and make sure that all tests still pass.",
        "Restructure the authentication middleware so that it supports both API keys and OAuth, without breaking the "
        "existing clients.",
    ),
    *_all(
        "code_generation", 4, 7.5,
        "Write a recursive descent parser for arithmetic expressions with variables, unary minus, function calls and "
        "good error messages. It must report line and column.",
        "Implement a thread-safe LRU cache with a time to live for each entry, O(1) get and put, and statistics.",
        "Given an undirected weighted graph with n nodes and m edges (1 <= n, m <= 10^5), return the minimum cost of a "
        "path from node 1 to node n if you may halve the cost of at most k edges. The answer may be very large, so "
        "return it modulo 10^9 + 7.",
    ),
    *_all(
        "review", 3.5, 7,
        "Review this authentication module for security vulnerabilities and race conditions.",
        "Review the pull request that adds retries and timeouts to our payment client; look for edge cases.",
    ),
    *_all(
        "tests", 3.5, 6.5,
        "Write integration tests for the checkout workflow: payment declined, timeout, retry, and concurrent orders of "
        "the last item. Mock the payment client.",
    ),
)  # fmt: skip

SYSTEM = (
    *_all(
        "architecture", 8, 10,
        "Design a multi-service order platform: order, payment and inventory services that communicate through Kafka, "
        "with sagas for failures.",
        "Design a microservice architecture for a video streaming platform.",
        "Architect a distributed job scheduler that survives the loss of a data center.",
        "How should we split our monolith into microservices without downtime?",
        "Propose an architecture for a multi-tenant analytics platform with event sourcing across regions",
        "Design the migration from our single PostgreSQL to a sharded cluster, with zero downtime and rollback.",
        "We need a system design for a chat application: several services, websockets, presence, message queues, and "
        "delivery across regions.",
        "Sketch how an API gateway, an auth service and six backend services talk to each other, including rate limits "
        "and failover.",
        "Entwirf eine Architektur aus mehreren Microservices für einen Online-Shop mit verteilten Transaktionen",
        "Conçois une architecture de microservices distribuée pour un système de paiement",
        "Diseña una arquitectura de microservicios distribuida para pedidos y pagos",
        "Спроектируй распределённую систему из нескольких микросервисов для обработки заказов",
        "设计一个分布式微服务架构,用于处理订单和支付",
        "マイクロサービスによる分散システムのアーキテクチャを設計してください",
    ),
    *_all(
        "other", 8, 10,
        "Design a multi-service order platform: order, payment and inventory services that communicate through Kafka.",
        "Please could you design, for our company, a set of microservices for bookings, with queues between them, "
        "please? Thanks!",
    ),
    *_all(
        "code_generation", 7.1, 10,
        "Design and build a distributed key-value store with Raft consensus, sharding and rebalancing.",
        "Implement a distributed rate limiter shared by several services with Redis, which must stay consistent during "
        "failover and be safe under concurrency.",
    ),
)  # fmt: skip

MIDDLING = (
    *_all("architecture", 4.1, 8, "Design the plugin interface of our command line tool.",
          "Propose a class structure for the board game engine"),
    *_all("reasoning", 2.5, 6, "Explain why quicksort is quadratic in the worst case.",
          "Compare optimistic and pessimistic locking for our booking table"),
    *_all("other", 1, 4, "hello", "", "???", "42", "Thanks!", "x" * 500),
)  # fmt: skip

ALL = (*MECHANICAL, *SMALL, *MODULE, *SYSTEM, *MIDDLING)

UNTYPED: dict[tuple[float, float], tuple[str, ...]] = {
    (1, 2): (
        "Correct the typos in the docstring of parse_args",
        "s/teh/the/ in CONTRIBUTING.md",
        "Give the variable `d` a better name",
        "Change the name of the method from run to execute",
        "the comment on line 12 has a misspelled word",
        "Delete the commented-out code in main.go",
        "Swap single quotes for double quotes in this file",
        "Make the button text say 'Save' instead of 'Submit'",
        "Replace all occurrences of foo with bar",
        "Rename every occurrence of `Customer` to `Client` in the three files attached",
        "Run prettier over the file",
        "Rename package com.acme.util to com.acme.text",
        "lowercase the enum names",
        "Please rename the microservice config key `queue_url` to `broker_url`",
        "Fix grammar in the error message",
        'Typo in the docs: "seperate" -> "separate"',
        "Please fix spelling in the following comment",
        "change variable name i to index",
        "Rename file utils.py to text.py and update the imports",
        "update variable names to snake_case",
        "The heading has a typo",
        "Rename `OrderSvc` -> `OrderService`",
        "Remove the extra blank lines",
        "add a missing comma in the JSON",
        "Change 'colour' to 'color' in the comments",
        "Fix a typo in the variable name of the distributed scheduler's consensus module",
        "rename this parameter",
        "Can you reindent this snippet?",
        "Add a trailing newline at the end of the file",
        "Rename the table users to accounts in the SQL below",
        "correct the spelling of 'occured'",
    ),
    (2, 4): (
        "Function that reverses the words of a sentence",
        "Write a Go function that returns the max of a slice",
        "make a decorator that times a function",
        "Compute the average of the numbers in a file",
        "Write a SQL query that returns the top 10 customers by revenue",
        "Implement binary search",
        "write code to flatten a nested list",
        "Give me a Python snippet that downloads a URL and saves it to disk",
        "Write a function to check if a number is prime",
        "Write a script which counts lines per author in a git repo",
        "Add a property full_name to the User class",
        "Implement a stack with push and pop in C",
        "Write a JS function debounce(fn, ms)",
        "Write a Dockerfile for this Flask app",
        "Return the sum of the even numbers in a list",
        "Write a helper to slugify a title",
        "Implement quicksort in JavaScript",
        "Write a unit test for slugify",
        "Write a function is_leap_year(year)",
        "Function to count words in a string, ignoring case",
        "Convert a hex colour to RGB",
        "Write a small class Point with distance_to",
        "Write a SQL query to find duplicate emails",
        "Write a TypeScript type guard for User",
        "Implement fizzbuzz",
        "Given a list of integers, return the second largest",
        "Write a lambda that sorts dicts by the key 'age'",
        "Translate this Java method to Python",
        "Add type hints to this function",
    ),
    (4, 7): (
        "The scheduler module runs jobs twice when the clock changes for daylight saving. Fix it and add tests.",
        "Fix the bug where uploads larger than 2 GB fail in storage/uploader.py; the module must keep memory "
        "below 100 MB.",
        "In our Django app the permissions module lets a user read other teams' documents when the team was "
        "renamed. Find and fix.",
        "Fix the race condition in the connection pool: connections are returned twice under load",
        "orders.py computes the wrong tax for refunds when a coupon applies and the cart holds mixed VAT "
        "rates. Repair the module; rounding must match invoice.py.",
        "Our test suite is flaky: test_reconnect fails one time in twenty. Work out why and fix the client module.",
        "The websocket handler leaks file descriptors when a client disconnects during the handshake; fix it "
        "without changing the protocol.",
        "Fix the bug in billing.py: invoices issued on the last day of a month are dated in the following "
        "month for users west of UTC",
        "The search module returns results the user has no permission to see. Fix the filter and the cache "
        "and add tests.",
        "After upgrading SQLAlchemy to 2.0 the repository layer raises DetachedInstanceError in three "
        "places. Repair the module.",
        "Checkout sometimes charges twice when the client retries. Make the handler idempotent.",
        "The CSV importer silently drops rows with emoji. Find out why, fix the module and keep it streaming.",
        "Fix the deadlock between the writer thread and the flush timer in the log module.",
        "Debug why our pagination skips records when items are deleted during iteration, across the API "
        "handler and the repository module.",
    ),
    (8, 10): (
        "Design a multi-service system for ride sharing with dispatch, pricing, billing and notifications.",
        "Come up with an architecture of several services for an e-commerce site that can handle 1M users",
        "We want to break our Rails monolith into services. Design the service boundaries, the data "
        "ownership and the migration path.",
        "Design an event-driven system where five services share orders via a message broker",
        "Plan the architecture for a globally distributed, highly available session store",
        "Draw up a design for a payments platform made of microservices, including fraud detection and ledgers",
        "Please design the backend of a social network: feed service, user service, media service, search service.",
        "Design a distributed cache.",
        "Define the architecture of a multi-region SaaS with tenant isolation",
        "I'd like a full system design of a notification service handling email, SMS and push for millions "
        "of users, with queues and retries",
        "Design a multi-service architecture for food delivery.",
        "Design a distributed message queue like Kafka",
        "Design a URL shortener that scales to a billion links across regions, with analytics service and "
        "cache service",
        "Design microservices for a bank",
        "Create the architecture for a platform with user, order, inventory and payment services",
        "We need to design how our 7 services authenticate to each other and share events",
        "Architect a multi-tenant SaaS backend with separate billing, identity and reporting services",
        "Plan a migration of the monolith to microservices without downtime",
        "Design an event-sourced, multi-region trading platform",
        "Lay out a service-oriented system for hospital appointments, with scheduling, billing and "
        "notification services talking over a message bus",
        "Design a system of cooperating services for IoT ingestion, storage, alerting and dashboards",
        "Think through the design of a fault-tolerant distributed file system",
    ),
}
"""Tasks by least and most complexity, whose type is left to be inferred."""
