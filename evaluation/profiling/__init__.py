"""What evaluations say of the profiles, as proposals with their evidence."""
