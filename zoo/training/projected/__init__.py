"""A discriminator on projected features, the option `discriminator = "projected"` of a recipe.

Small networks judge images by the features of a frozen, pretrained network (Sauer et al. 2021,
arXiv:2111.01007). A generator then needs about a tenth of the images that it takes with a
discriminator trained from scratch.
"""

from zoo.training.projected.discriminator import ProjectedDiscriminator

__all__ = ["ProjectedDiscriminator"]
