"""``luna-bench``: every engine of a bundle in one table, the book's method beside them."""
