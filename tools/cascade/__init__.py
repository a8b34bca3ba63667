"""One delegation under its contract: draft, check, repair or next model, receipt."""
