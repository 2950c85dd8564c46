"""How good image classifiers are: accuracy, confusion, and the pictures that they get wrong."""
