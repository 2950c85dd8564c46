"""From trained weights to a bundle whose every artifact is proved against eager PyTorch."""
