"""The parts of a shop, as tests count them."""

PARTS = ("orders", "catalog", "inventory", "payment", "fraud", "email", "analytics")
ON_POSTGRESQL = tuple(part for part in PARTS if part != "inventory")
READERS = tuple(part for part in PARTS if part != "catalog")  # of what others publish
