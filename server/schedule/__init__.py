"""The scheduled weekly evaluation, which runs when the machine is idle."""
