"""Texts as vectors: the embedders, and how a user names one."""
