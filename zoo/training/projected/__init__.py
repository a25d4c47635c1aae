"""A discriminator of projected features, the option `discriminator = "projected"` of a recipe.

Images are judged by small networks on top of a frozen one that has learned from other images
(Sauer et al. 2021, arXiv:2111.01007), which teaches a generator with a tenth of the images that a
discriminator needs that starts from nothing.
"""

from zoo.training.projected.discriminator import ProjectedDiscriminator

__all__ = ["ProjectedDiscriminator"]
