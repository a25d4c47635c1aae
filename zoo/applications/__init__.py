"""Applications of encoders, generators, translators and classifiers.

>>> from zoo.applications.sampling import sample_images
>>> sample_images("vae", count=16, seed=7, out="samples.png")
>>> from zoo.applications.embedding import embed_images
>>> from zoo.inference.inputs import Selection
>>> embed_images(Selection(("folder", "more.npy")), "vae", out="latents.npz")

Only `inversion` and `spaces` import PyTorch; other modules import these two lazily. Packages other
than NumPy, Pillow and the runtime are also imported lazily, through `zoo.optional.require`.
"""
