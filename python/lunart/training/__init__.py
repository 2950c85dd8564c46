"""Training of lunart's networks: ``luna-train``."""
