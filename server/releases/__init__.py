"""Asks the vendors which models they offer, and believes nothing of it that is not plain."""
