"""Limits on what a call may do: readable files, hosts that text may be sent to, spending, and safe characters."""
