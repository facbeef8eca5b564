"""The faces of the service: what is asked over HTTP turned into wishes, and what came of them into answers.

guard -> app -> native_*, openai_*, a1111_*, page, docs     who may ask; one router for each face
          |- bodies     what was sent, within limits
          |- errors     what went wrong, in the form of each face
          |- words      in which language, for whom
          `- sse        events as they happen
"""
