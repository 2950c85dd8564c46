"""Training of the networks that lunart ships; run as ``python -m lunart.training.phantoms``."""
