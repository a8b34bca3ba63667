"""What we know of a model: the schema, the loader, the roles, and one YAML file per model."""
