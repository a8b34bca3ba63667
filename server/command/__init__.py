"""The `chargehand` command: one module for the arguments of each command, and one for what it does and prints."""
