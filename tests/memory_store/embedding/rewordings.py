"""Coding tasks in two wordings, as the same person might write them on two days; the pairs are unrelated."""

REWORDED: tuple[tuple[str, str], ...] = (
    (
        "Write a function that parses an ISO 8601 date string and returns a datetime.",
        "Please implement a parser for ISO 8601 date strings which gives back a datetime object.",
    ),
    (
        "Add retry with exponential backoff to the HTTP client in net/client.py.",
        "net/client.py: the HTTP client should retry, backing off exponentially.",
    ),
    (
        "Fix the off-by-one error in paginate() so the last page is not empty.",
        "paginate() has an off-by-one bug: the last page comes back empty. Fix it.",
    ),
    (
        "Convert the callback based uploader to async/await.",
        "Could you make the uploader use async/await instead of callbacks?",
    ),
    (
        "Write unit tests for the ShoppingCart class covering discounts and taxes.",
        "I need unit tests of shopping_cart: discounts and taxes must be covered.",
    ),
    (
        "Rename the variable usr_nm to user_name everywhere in accounts.py.",
        "In accounts.py, rename usr_nm to user_name in all places, thanks!",
    ),
    (
        "Translate this Python script that resizes images into Go.",
        "Port the image resizing script from Python to Go.",
    ),
    (
        "Document every public function of the geometry module with docstrings.",
        "Add docstrings to all the public functions in the geometry module.",
    ),
    (
        "Implement an LRU cache with a maximum size and O(1) get and put.",
        "Implement a cache with LRU eviction: get and put in O(1), limited by a maximum size.",
    ),
    (
        "Why does the websocket connection drop after 60 seconds behind nginx? Find the cause.",
        "Debug: behind nginx our websocket connections drop after 60 seconds.",
    ),
    (
        "Write a SQL query that lists the top ten customers by revenue in the last quarter.",
        "SQL: top ten customers of the last quarter, ordered by revenue.",
    ),
    (
        "Make the command line tool accept a --verbose flag that turns on debug logging.",
        "Add a verbose flag to the command line tool; it should turn debug logging on.",
    ),
    (
        "Validate email addresses in the registration form and show an error message.",
        "Registration form: validate the email address, and show an error message when it is invalid.",
    ),
    (
        "Refactor the 300-line processOrder method into smaller methods without changing behaviour.",
        "process_order has 300 lines. Split this method into smaller methods; behaviour must not change.",
    ),
    (
        "Write a Dockerfile for the Flask app with a multi-stage build.",
        "Please write a multi-stage Dockerfile to build our Flask app.",
    ),
    (
        "Compute the shortest path between two nodes of a weighted graph with Dijkstra's algorithm.",
        "Use Dijkstra's algorithm: the shortest path in a weighted graph from one node to another.",
    ),
    (
        "The CSV export writes umlauts incorrectly; use UTF-8 with BOM.",
        "Umlauts are broken in the CSV export. Write it as UTF-8 with a BOM.",
    ),
    (
        "Create a React component that shows a sortable table of users.",
        "React: build a component for a user table that can be sorted.",
    ),
    (
        "Remove trailing whitespace and sort the imports in all Python files.",
        "Sort imports and strip trailing whitespace from every Python file.",
    ),
    (
        "Add a database migration which adds a nullable column archived_at to invoices.",
        "Write the migration: invoices get a new nullable database column archivedAt.",
    ),
    (
        "Compile the regular expressions in the tokenizer once instead of on every call.",
        "The tokenizer compiles its regular expressions on every call. Compile them once.",
    ),
    (
        "Write a function to check whether a string is a palindrome, ignoring punctuation and case.",
        "Palindrome check: a function that says whether a string is one; ignore case and punctuation.",
    ),
    (
        "Fix the race condition when two workers claim the same job from the queue.",
        "Two workers can claim the same job from the queue at once. Fix this race condition.",
    ),
    (
        "Encrypt the backup archive with AES-256 before uploading it to S3.",
        "Before the backup archive is uploaded to S3, encrypt it (AES-256).",
    ),
    (
        "Write a bash script that deletes log files older than 30 days.",
        "Bash script please: delete log files that are older than 30 days.",
    ),
    (
        "Merge two sorted linked lists into one sorted linked list.",
        "Given two linked lists, both sorted, merge them into one sorted list.",
    ),
    (
        "Parse the nested JSON response of the weather API into dataclasses.",
        "Turn the weather API's nested JSON response into dataclasses: write the parsing.",
    ),
    (
        "Implement binary search over a rotated sorted array.",
        "Implement a search (binary) in a sorted array that was rotated.",
    ),
)
