"""What vendors' listings change in what we know of models."""
