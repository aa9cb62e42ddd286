"""Shoppers whose tastes are known, who visit the real pages: the demo, and the ground truth of every statistical claim.

It talks HTTP and nothing else: what it knows of the shop it has read on a page. What it knows of its shoppers it writes
beside, so that a test can compare what the shop measured with what was true.
"""
