"""Turns vendors' model listings into proposed changes to profiles."""
