"""The figures of docs/course.md that no command draws by itself; one module each.

`python -m scripts.course NAME…` draws them into docs/gallery, all of them without a name.
"""
