"""Who is served next. No clock: jobs are counted as they come, turns as they are served."""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping

from nutshell.service.store_jobs import Record


def fair_order(waiting: Iterable[Record], served: Mapping[str, int]) -> list[list[Record]]:
    """The order of drawings, each with all jobs that it serves.

    First what was begun already; then clients take turns, the one served longest ago first, each with its oldest
    job. served: the turn at which each client was served last. Jobs of one `share` go with the first of them.
    """
    turns = dict(served)
    turn = max(turns.values(), default=0)
    lines: dict[str, deque[Record]] = defaultdict(deque)
    shares: dict[str, list[Record]] = defaultdict(list)
    for record in sorted(waiting, key=lambda record: (not record.front, record.job.number)):
        lines[record.job.client].append(record)
        if record.share:
            shares[record.share].append(record)
    heads = [(_rank(line[0], turns), client) for client, line in lines.items()]
    heapq.heapify(heads)
    order: list[list[Record]] = []
    gone: set[int] = set()
    while heads:
        rank, client = heapq.heappop(heads)
        line = lines[client]
        while line and line[0].job.number in gone:
            line.popleft()
        if not line:
            continue
        head = line[0]
        # Served with another's job since: a rank only ever grows, so the line is put back where it belongs now.
        if _rank(head, turns) != rank:
            heapq.heappush(heads, (_rank(head, turns), client))
            continue
        turn += 1
        together = [record for record in shares.get(head.share, [head]) if record.job.number not in gone]
        for record in together:
            gone.add(record.job.number)
            turns[record.job.client] = turn
        order.append(together)
        heapq.heappush(heads, (_rank(head, turns), client))
    return order


def _rank(head: Record, turns: Mapping[str, int]) -> tuple[bool, int, int]:
    if head.front:
        return False, 0, head.job.number
    return True, turns.get(head.job.client, 0), head.job.number
