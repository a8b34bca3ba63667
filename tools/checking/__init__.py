"""Whether an answer is right: parsing, tests that run in a sandbox, the reviewer."""
