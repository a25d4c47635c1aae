"""Engines run over many images, block by block: latents, reconstructions, translations."""
