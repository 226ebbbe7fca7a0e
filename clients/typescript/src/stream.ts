import { Backoff, sleep } from "./backoff.js";
import type { StreamEvent } from "./events.js";
import { ProblemError } from "./problem.js";
import { SseParser } from "./sse.js";

/** What to listen to, and from where on. */
export interface StreamOptions {
    /** Pairs, such as `BTC-USD`. */
    pairs?: readonly string[];
    /** Topics, such as `rates`, `sources`, `top:binance:BTC-USDT`. Without pairs and topics: `rates`. */
    topics?: readonly string[];
    /** `id` of the last event that was heard, by this or another stream, of this or another server. */
    resumeFrom?: string;
    /** Ends the stream. */
    signal?: AbortSignal;
}

/** What a stream needs of the client. */
export interface Opener {
    readonly fetch: typeof fetch;
    url(path: string, query: Record<string, string | undefined>): string;
    headers(more: Record<string, string>): Headers;
}

/** A server says something every 15 s, unless its configuration says otherwise. */
const HEARTBEAT_MS = 15_000;
/** This many heartbeats may fail to come before a connection counts as dead. */
const HEARTBEATS_MISSED = 3;

/**
 * Events until the caller stops. A cut is not the end: the next connection goes on where this one
 * had ended. Throws a ProblemError only for what waiting cannot mend.
 */
export async function* openStream(
    opener: Opener,
    options: StreamOptions,
): AsyncGenerator<StreamEvent, void, undefined> {
    const { signal } = options;
    const backoff = new Backoff();
    let position = options.resumeFrom;
    while (!signal?.aborted) {
        const cut = new AbortController();
        const abort = () => cut.abort();
        signal?.addEventListener("abort", abort);
        let silence: ReturnType<typeof setTimeout> | undefined;
        let heartbeatMs = HEARTBEAT_MS;
        const heard = () => {
            clearTimeout(silence);
            silence = setTimeout(abort, heartbeatMs * HEARTBEATS_MISSED);
        };
        try {
            heard();
            const query = { pairs: joined(options.pairs), topics: joined(options.topics) };
            const headers: Record<string, string> = { Accept: "text/event-stream" };
            if (position !== undefined) {
                headers["Last-Event-ID"] = position;
            }
            const answer = await opener.fetch(opener.url("/api/v1/stream", query), {
                headers: opener.headers(headers),
                cache: "no-store",
                signal: cut.signal,
            });
            if (!answer.ok || answer.body === null) {
                throw await ProblemError.of(answer);
            }
            const parser = new SseParser();
            const reader = answer.body.getReader();
            for (;;) {
                const { done, value } = await reader.read();
                if (done) {
                    break;
                }
                heard();
                const news = parser.feed(value);
                if (news.retryMs !== undefined) {
                    backoff.ask(news.retryMs);
                }
                for (const { event, data, id } of news.events) {
                    const told = { event, data: JSON.parse(data), id } as StreamEvent;
                    if (told.event === "hello") {
                        backoff.reset();
                        heartbeatMs = told.data.heartbeat_ms || HEARTBEAT_MS;
                    } else if (told.event === "bye") {
                        backoff.ask(told.data.reconnect_after_ms);
                    }
                    if (id) {
                        position = id;
                    }
                    yield told;
                }
            }
        } catch (error) {
            if (signal?.aborted) {
                return;
            }
            if (error instanceof ProblemError) {
                if (!error.isPassing) {
                    throw error;
                }
                backoff.ask((error.retryAfterSeconds ?? Number.NaN) * 1_000);
            }
            // Anything else is a broken connection: it is opened again.
        } finally {
            clearTimeout(silence);
            signal?.removeEventListener("abort", abort);
            cut.abort();
        }
        await sleep(backoff.next(), signal);
    }
}

function joined(names: readonly string[] | undefined): string | undefined {
    return names === undefined || names.length === 0 ? undefined : names.join(",");
}
