import { Backoff, sleep } from "./backoff.js";
import type { StreamEvent } from "./events.js";
import { ProblemError } from "./problem.js";

/** What is used of a WebSocket; that of browsers, of Node 22 and of the package `ws` have it. */
export interface WebSocketLike {
    readonly readyState: number;
    onopen: ((event: never) => void) | null;
    onmessage: ((event: never) => void) | null;
    onclose: ((event: never) => void) | null;
    onerror: ((event: never) => void) | null;
    send(text: string): void;
    close(code?: number): void;
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

/** What to listen to, and from where on. */
export interface SocketOptions {
    /** Topics, such as `rate:BTC-USD`, `rates`, `sources`. */
    topics: readonly string[];
    /** `id` of the last event that was heard. */
    resumeFrom?: string;
    /** Where there is no global `WebSocket`, as in Node before 22: that of the package `ws`. */
    webSocket?: WebSocketConstructor;
    /** Ends the socket. */
    signal?: AbortSignal;
}

/** What a socket needs of the client. */
export interface SocketOpener {
    /** The address; with a ticket when the client has a key, which must not stand in an address. */
    socketUrl(): Promise<string>;
    /** Throws when streams are not for this client: a failed opening does not say so to scripts. */
    mayListen(): Promise<void>;
}

interface Answer {
    id: number;
    ok: boolean;
    error?: { code: string; detail: string };
}

const PROTOCOL = "kurs.v1.json";
const OPEN = 1;
/** The server pings every 20 s, which scripts cannot see; it tells a heartbeat every 15 s, which they can. */
const HEARTBEAT_MS = 15_000;
const HEARTBEATS_MISSED = 3;
/** Events that wait for the caller. One who is slower comes back and is told what was missed. */
const WAITING_MAX = 10_000;
/** Closed because of what the client did: the same again would end the same. */
const FINAL_CLOSES = [1003, 1009];

/** Events of a socket that comes back by itself and goes on where it had ended. */
export class KursSocket implements AsyncIterable<StreamEvent> {
    readonly #opener: SocketOpener;
    readonly #make: WebSocketConstructor;
    readonly #topics: Set<string>;
    readonly #closing = new AbortController();
    readonly #waiting: StreamEvent[] = [];
    #position: string | undefined;
    #socket: WebSocketLike | undefined;
    #command = 0;
    #answers = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
    #wake: () => void = () => undefined;
    #failure: unknown;
    #ended = false;

    constructor(opener: SocketOpener, options: SocketOptions) {
        const global = (globalThis as { WebSocket?: unknown }).WebSocket;
        const constructor = options.webSocket ?? (global as WebSocketConstructor | undefined);
        if (constructor === undefined) {
            throw new TypeError("there is no WebSocket here: give that of the package `ws` as `webSocket`");
        }
        this.#opener = opener;
        this.#make = constructor;
        this.#topics = new Set(options.topics);
        this.#position = options.resumeFrom;
        if (options.signal?.aborted) {
            this.#closing.abort();
        }
        options.signal?.addEventListener("abort", () => this.close());
        void this.#run();
    }

    /** Listens to more; resolves when the server has said yes. */
    async subscribe(topics: readonly string[]): Promise<void> {
        topics.forEach((topic) => this.#topics.add(topic));
        await this.#ask({ op: "subscribe", topics });
    }

    /** Listens to less. */
    async unsubscribe(topics: readonly string[]): Promise<void> {
        topics.forEach((topic) => this.#topics.delete(topic));
        await this.#ask({ op: "unsubscribe", topics });
    }

    /** The place to go on from. */
    get position(): string | undefined {
        return this.#position;
    }

    /** Ends the socket and its iteration. */
    close(): void {
        this.#closing.abort();
        this.#socket?.close(1000);
        this.#wake();
    }

    async *[Symbol.asyncIterator](): AsyncGenerator<StreamEvent, void, undefined> {
        try {
            for (;;) {
                const event = this.#waiting.shift();
                if (event !== undefined) {
                    yield event;
                } else if (this.#failure !== undefined) {
                    throw this.#failure;
                } else if (this.#ended || this.#closing.signal.aborted) {
                    return;
                } else {
                    await new Promise<void>((resolve) => {
                        this.#wake = resolve;
                    });
                }
            }
        } finally {
            this.close();
        }
    }

    async #run(): Promise<void> {
        const { signal } = this.#closing;
        const backoff = new Backoff();
        try {
            while (!signal.aborted) {
                try {
                    await this.#connection(backoff);
                } catch (error) {
                    if (error instanceof ProblemError && !error.isPassing) {
                        throw error;
                    }
                }
                await sleep(backoff.next(), signal);
            }
        } catch (error) {
            this.#failure = error;
        }
        this.#ended = true;
        this.#wake();
    }

    /** One connection, from opening to closing. */
    async #connection(backoff: Backoff): Promise<void> {
        const url = await this.#opener.socketUrl();
        if (this.#closing.signal.aborted) {
            return;
        }
        const socket = new this.#make(url, [PROTOCOL]);
        this.#socket = socket;
        let heartbeatMs = HEARTBEAT_MS;
        let silence: ReturnType<typeof setTimeout> | undefined;
        let opened = false;
        const code = await new Promise<number>((resolve) => {
            // A dead connection does not say that it is closed: whoever waits goes on without it.
            const dead = () => {
                socket.close();
                resolve(0);
            };
            const heard = () => {
                clearTimeout(silence);
                silence = setTimeout(dead, heartbeatMs * HEARTBEATS_MISSED);
            };
            heard();
            socket.onopen = () => {
                opened = true;
                if (this.#closing.signal.aborted) {
                    socket.close(1000);
                    return;
                }
                const first = { op: "subscribe", topics: [...this.#topics] };
                const from = this.#position === undefined ? {} : { resume_from: this.#position };
                this.#ask({ ...first, ...from }).catch((error: unknown) => {
                    this.#failure ??= error;
                    this.close();
                });
            };
            socket.onmessage = (message: { data: unknown }) => {
                heard();
                const told = JSON.parse(String(message.data)) as StreamEvent | Answer;
                if (!("event" in told)) {
                    this.#answered(told);
                    return;
                }
                if (told.event === "hello") {
                    backoff.reset();
                    heartbeatMs = told.data.heartbeat_ms || HEARTBEAT_MS;
                } else if (told.event === "bye") {
                    backoff.ask(told.data.reconnect_after_ms);
                }
                if (this.#waiting.length >= WAITING_MAX) {
                    // Left out, with the position where it was: the next connection tells it.
                    dead();
                    return;
                }
                if (told.id) {
                    this.#position = told.id;
                }
                this.#waiting.push(told);
                this.#wake();
            };
            socket.onerror = () => undefined;
            socket.onclose = (event: { code: number }) => resolve(event.code);
        });
        clearTimeout(silence);
        socket.onmessage = null;
        this.#socket = undefined;
        const answers = [...this.#answers.values()];
        this.#answers.clear();
        // What was asked for is asked again by the next connection, all at once.
        answers.forEach(({ resolve }) => resolve());
        if (!opened && !this.#closing.signal.aborted) {
            await this.#opener.mayListen();
        }
        if (FINAL_CLOSES.includes(code)) {
            throw new ProblemError(
                {
                    type: "about:blank",
                    title: "The server closed the socket",
                    status: 400,
                    detail: `close code ${code}`,
                    instance: "",
                },
                null,
            );
        }
    }

    #ask(command: Record<string, unknown>): Promise<void> {
        const socket = this.#socket;
        if (socket === undefined || socket.readyState !== OPEN) {
            // The next connection begins with all topics.
            return Promise.resolve();
        }
        this.#command += 1;
        const id = this.#command;
        return new Promise((resolve, reject) => {
            this.#answers.set(id, { resolve, reject });
            socket.send(JSON.stringify({ id, ...command }));
        });
    }

    #answered(answer: Answer): void {
        const waiting = this.#answers.get(answer.id);
        this.#answers.delete(answer.id);
        if (answer.ok) {
            waiting?.resolve();
        } else {
            const { code, detail } = answer.error ?? { code: "unknown", detail: "" };
            const [title, status] = ["The server refused a command", 400];
            const problem = { type: `#${code}`, title, status, detail, instance: "" };
            waiting?.reject(new ProblemError(problem, null));
        }
    }
}
