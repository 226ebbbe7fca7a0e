/** One event of a `text/event-stream`. */
export interface SseEvent {
    event: string;
    data: string;
    id: string | undefined;
}

/** What a piece of the stream brought. */
export interface SseNews {
    events: SseEvent[];
    /** The server's wish of how long to wait before coming back. */
    retryMs: number | undefined;
}

/** One event may be a snapshot of 500 rates; beyond this it is no stream of kurs. */
const EVENT_CHARACTERS_MAX = 16 * 1024 * 1024;

/** Reads the stream by pieces, wherever they are cut. */
export class SseParser {
    #decoder = new TextDecoder();
    #rest = "";
    #event = "";
    #data: string[] = [];
    #id: string | undefined;

    feed(piece: Uint8Array): SseNews {
        const news: SseNews = { events: [], retryMs: undefined };
        this.#rest += this.#decoder.decode(piece, { stream: true });
        if (this.#rest.length > EVENT_CHARACTERS_MAX) {
            throw new RangeError("an event of the stream is too long");
        }
        for (;;) {
            const end = this.#rest.search(/\r\n|\n|\r(?=[^])/);
            if (end < 0) {
                return news;
            }
            const line = this.#rest.slice(0, end);
            this.#rest = this.#rest.slice(end + (this.#rest.startsWith("\r\n", end) ? 2 : 1));
            this.#line(line, news);
        }
    }

    #line(line: string, news: SseNews): void {
        if (line === "") {
            if (this.#data.length > 0) {
                const event = this.#event || "message";
                news.events.push({ event, data: this.#data.join("\n"), id: this.#id });
            }
            this.#event = "";
            this.#data = [];
            this.#id = undefined;
            return;
        }
        const colon = line.indexOf(":");
        const field = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (field === "event") {
            this.#event = value;
        } else if (field === "data") {
            this.#data.push(value);
        } else if (field === "id" && !value.includes("\0")) {
            this.#id = value;
        } else if (field === "retry" && /^[0-9]+$/.test(value)) {
            news.retryMs = Number(value);
        }
    }
}
