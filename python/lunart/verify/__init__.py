"""``luna-verify``: the proof of a bundle again, on another machine or another day."""
