"""The last resort: what nobody foresaw is a plain 500, and the log has it."""

from __future__ import annotations

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nutshell.service.http.errors import trouble_of
from nutshell.service.http.guard_answers import refuse

_LOG = logging.getLogger(__name__)


class LastResort:
    """No text of an exception is sent: it may hold folders of this machine, or what somebody asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and answer what failed."""
        if scope["type"] == "websocket":
            # There are none; without this the application would have to know them.
            await send({"type": "websocket.close", "code": 1003})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = ended = False

        async def watched(message: Message) -> None:
            nonlocal started, ended
            await send(message)
            started = True
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if ended:
                return  # FastAPI raises again what it has answered and logged
            if started:
                raise  # the connection breaks: the client must not take half an answer for a whole one
            _LOG.exception("%s %s failed", scope["method"], scope["path"])
            await refuse(scope, receive, send, trouble_of(error))
