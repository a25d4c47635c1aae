"""How good the images of a generator or a translator are: feature networks, distances, reports.

>>> from zoo.evaluation.quick import QuickFid
>>> QuickFid(data).measure(images)

What needs PyTorch (`scores`, `efficientnet`, `inception`) imports it only where it is used.
"""
