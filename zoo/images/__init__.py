"""Reading and writing of images: pictures, folders, NumPy files, labelled grids and GIFs.

Images are uint8 arrays [n, H, W, C], as engines produce them. Nothing here
needs the runtime or PyTorch; Pillow is imported where it is used.
"""
