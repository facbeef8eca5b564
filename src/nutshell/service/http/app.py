"""The web application: every face of one service."""

from __future__ import annotations

from fastapi import FastAPI

from nutshell import __version__
from nutshell.service.http import a1111, errors, health, native_jobs, openai_images, openai_models, page
from nutshell.service.http.faces import FACES
from nutshell.service.parts import Parts


def create_app(parts: Parts) -> FastAPI:
    """The faces over `parts`, unguarded: `guard` is put around it where it is served."""
    # Its own pages of documentation load from another host.
    app = FastAPI(title="Nutshell", version=__version__, docs_url=None, redoc_url=None)
    for face in (health, native_jobs, openai_images, openai_models, a1111):
        app.include_router(face.router(parts))
    app.include_router(page.router())
    errors.install(app, FACES)
    return app
