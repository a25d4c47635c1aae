"""Engines at work on many images, block by block: latents, reconstructions, translations."""
