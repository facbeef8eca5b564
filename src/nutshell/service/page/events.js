// Server-sent events over fetch, which unlike EventSource can say in which language it reads, and why it failed.
// The format: https://html.spec.whatwg.org/multipage/server-sent-events.html

import { watch } from "./api.js";
import { tag } from "./words.js";

const LAST = new Set(["done", "failed", "cancelled"]);

class Lost extends Error {}

// Calls `tell` with each event of a job until its last one, through broken connections. Ends, too, when `signal` is
// given, or when there is no such job.
export async function follow(id, tell, signal) {
  let pause = 500;
  while (!signal.aborted) {
    try {
      const answer = await reached(fetch(`api/jobs/${id}/events`, { headers: { "Accept-Language": tag() }, signal }));
      watch.found();
      if (answer.status === 404 || answer.status === 204) return;
      if (answer.ok) {
        for await (const [kind, data] of events(answer.body)) {
          pause = 500;
          tell(kind, data);
          if (LAST.has(kind)) return;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Lost)) throw error;
      watch.lost();
    }
    await new Promise((done) => setTimeout(done, pause));
    pause = Math.min(pause * 2, 5000);
  }
}

// What a network gave, or Lost where it gave nothing.
async function reached(promise) {
  try {
    return await promise;
  } catch (error) {
    throw new Lost(error.message);
  }
}

async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reached(reader.read());
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(
        block
          .split("\n")
          .filter((line) => !line.startsWith(":") && line.includes(": "))
          .map((line) => {
            const at = line.indexOf(": ");
            return [line.slice(0, at), line.slice(at + 2)];
          }),
      );
      if (fields.data) yield [fields.event ?? "message", JSON.parse(fields.data)];
    }
  }
}
