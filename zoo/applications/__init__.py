"""What encoders, generators, translators and classifiers are put to use for.

>>> from zoo.applications.sampling import sample_images
>>> sample_images("vae", count=16, seed=7, out="samples.png")
>>> from zoo.applications.embedding import embed_images
>>> from zoo.inference.inputs import Selection
>>> embed_images(Selection(("folder", "more.npy")), "vae", out="latents.npz")

Only `inversion` and `spaces` import PyTorch, and others import them where they are used. Packages
beyond NumPy, Pillow and the runtime are imported where they are used, too, through
`zoo.optional.require`.
"""
