"""``luna-convert``: stored results in the formats that other programs read."""
