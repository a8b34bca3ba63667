"""What happened before: the ledger of tasks, attempts, outcomes and money."""
