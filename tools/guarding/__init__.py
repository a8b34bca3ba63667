"""What is allowed: which files, which hosts, how much money, which characters."""
