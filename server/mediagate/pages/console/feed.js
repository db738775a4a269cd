// One stream of events for all videos of the caller, for as long as the session lasts.

import { respond } from "./api.js";

const PATH = "/v1/videos/events";
const RETRY_MS_MAX = 15_000;
// The gateway gives a sign of life every 15 seconds.
const SILENT_MS = 50_000;

/** Tells `event` for every event of a video, and `state` where the stream is (`live`, `connecting`, `away`). */
export class Feed extends EventTarget {
  state = "connecting";
  #cursor = null;
  #end = new AbortController();

  /** Open the stream, and open it again whenever it breaks, until `close`. */
  async run() {
    const { signal } = this.#end;
    for (let pause = 500; !signal.aborted; pause = Math.min(2 * pause, RETRY_MS_MAX)) {
      try {
        await this.#read(() => { pause = 500; });
      } catch (error) {
        if (signal.aborted) return;
        // What the key may not, it may not a second later either.
        if (error.status >= 400 && !error.mayRetry) return this.#tell("away", error);
        this.#tell("connecting", error);
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  close() {
    this.#end.abort();
  }

  async #read(came) {
    const quiet = new AbortController();
    const signal = AbortSignal.any([this.#end.signal, quiet.signal]);
    let watch = setTimeout(() => quiet.abort(), SILENT_MS);
    const heard = () => {
      clearTimeout(watch);
      watch = setTimeout(() => quiet.abort(), SILENT_MS);
    };
    try {
      const headers = { accept: "text/event-stream", ...(this.#cursor === null ? {} : { "last-event-id": this.#cursor }) };
      const response = await respond("GET", PATH, { headers, signal });
      this.#tell("live");
      came();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const parse = eventParser((id, data) => {
        if (id !== null) this.#cursor = id;
        this.dispatchEvent(new CustomEvent("event", { detail: data }));
      });
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        heard();
        parse(value);
      }
    } finally {
      clearTimeout(watch);
    }
  }

  #tell(state, error = null) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, error } }));
  }
}

/** Feed it text as it comes; it calls `take(id, data)` for each whole event, with the data's JSON. */
export function eventParser(take) {
  let rest = "";
  let id = null;
  let data = [];
  return (text) => {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (data.length) take(id, JSON.parse(data.join("\n")));
        data = [];
        id = null;
        continue;
      }
      const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (name === "data") data.push(value);
      else if (name === "id") id = value;
    }
  };
}
