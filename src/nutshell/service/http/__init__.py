"""The faces of the service: what is asked over HTTP turned into wishes, and what came of them into answers.

app -> native_*, openai_*, a1111, page      one router each
 |- errors     what went wrong, in the form of each face
 |- words      in which language, for whom
 `- sse        events as they happen
"""
