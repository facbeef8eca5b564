"""From a prompt to a picture."""

from nutshell.pipeline.model import Model, load
from nutshell.pipeline.picture import OnStep, Picture, Progress
from nutshell.pipeline.request import Request

__all__ = ["Model", "OnStep", "Picture", "Progress", "Request", "load"]
