"""What encoders, translators and classifiers are put to use for; one module an application.

Nothing here imports PyTorch. Packages beyond NumPy, Pillow and the runtime are
imported where they are used, through `zoo.applications.optional.require`.
"""
