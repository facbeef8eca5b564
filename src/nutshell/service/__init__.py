"""Pictures for people and programs over HTTP: one queue of jobs with several faces.

    wish -> queue (kept in SQLite) -> worker, a process of its own -> gallery
             `- events -> whoever follows the job

Read `wish`, `job`, `queue`, `worker`, then `http`. Only this room knows HTTP, and the web side opens no engine.
"""
