"""What encoders, translators and classifiers are put to use for; one module an application.

Only `inversion` and `spaces` import PyTorch, and others import them where they are used. Packages
beyond NumPy, Pillow and the runtime are imported where they are used, too, through
`zoo.optional.require`.
"""
