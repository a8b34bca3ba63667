"""Facts about models: schema, loader, roles and one YAML file per model."""
