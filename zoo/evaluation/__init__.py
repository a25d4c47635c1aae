"""Evaluation of generators and translators: feature networks, distances, and reports.

>>> from zoo.evaluation.quick import QuickFid
>>> QuickFid(data).measure(images)

Modules that need PyTorch (`scores`, `efficientnet`, `inception`) are imported lazily.
"""
