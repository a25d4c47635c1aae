"""The models, one file each, and the registry of them (`zoo.models.registry`)."""
