"""One adapter per vendor, behind the Provider protocol that tools/ declares."""
