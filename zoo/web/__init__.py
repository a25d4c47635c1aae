"""The page: images of generators in a browser, from a service or as a folder of static files."""

from pathlib import Path

INDEX = Path(__file__).with_name("index.html")
"""The document; it refers to the files of `PAGE` as `page/NAME`."""

PAGE = Path(__file__).with_name("page")
"""Folder of the modules, the style sheet and the icon, without folders in it."""

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; "
    "form-action 'none'"
)
"""Content security policy of the static page, which runs WebAssembly in a worker."""

ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
"""Headers that let a page share memory between threads (`crossOriginIsolated`)."""
