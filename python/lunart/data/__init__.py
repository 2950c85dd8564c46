"""Training data: LUNA16 and its sets, CIFAR-10, splits and the cache."""
