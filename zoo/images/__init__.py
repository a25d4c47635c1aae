"""Image files in and out: labelled grids, GIFs, folders, NumPy files, and checked input images.

Images are uint8 arrays [n, H, W, C], as the engines make them. Nothing here
needs the runtime or PyTorch; Pillow is imported where it is used.
"""
