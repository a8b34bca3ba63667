"""Chargehand's own tasks, each with a check that its reference passes and its wrong answers fail."""
