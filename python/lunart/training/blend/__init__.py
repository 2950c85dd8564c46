"""Training volumes made of real lungs and real nodules, where few whole labelled scans are at hand.

A *background* scan is resampled to another grid; *pieces* are put into its lungs: nodules, and
look-alikes put in the very same way, so that a network cannot tell truth by the seam.
"""
