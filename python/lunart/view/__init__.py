"""``luna-view``: a page on this machine that shows a result on its scan.

The page is in ``web``, bundled by npm into ``static`` when lunart is built; the program serves it,
the scan and the mask on the loopback only.
"""
