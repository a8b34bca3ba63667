"""Carries out a delegation under its contract: draft, check, repair or next model, receipt."""
