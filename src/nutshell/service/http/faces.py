"""Which face an address belongs to, so that errors are told in its form; all others are the native one's."""

from __future__ import annotations

from nutshell.service.http.a1111_errors import tell_a1111
from nutshell.service.http.errors import Tell
from nutshell.service.http.openai_errors import tell_openai

FACES: dict[str, Tell] = {"/v1": tell_openai, "/sdapi": tell_a1111, "/internal": tell_a1111}
