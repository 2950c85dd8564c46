"""How good a bundle is: LUNA16's FROC, the book's confusion, masks, malignancy, and intervals."""
