import type { StreamEvent } from "./events.js";
import type { components, paths } from "./generated/schema.js";
import { ProblemError } from "./problem.js";
import { KursSocket } from "./socket.js";
import type { SocketOptions } from "./socket.js";
import { openStream } from "./stream.js";
import type { StreamOptions } from "./stream.js";

/** All documents of the API by their names. */
export type Schemas = components["schemas"];

export interface KursOptions {
    /** Where the server is, such as `http://127.0.0.1:8080`; a path in it is kept. */
    url: string;
    /** API key or JWT; sent as `Authorization: Bearer`, never in an address. */
    apiKey?: string;
    /** Keep this many answers and ask whether they still hold (`ETag`); 0, the default, keeps none. */
    cacheEntries?: number;
    /** How long an answer may take; 10 s by default. Streams have no such end. */
    timeoutMs?: number;
    /** Another `fetch`, for proxies and tests. */
    fetch?: typeof fetch;
}

export interface RateOptions {
    /** As served at this moment: RFC 3339, such as `published_at` of an answer. */
    at?: string;
    /** With `at`: the `seq` of that answer. */
    seq?: number | string;
    /** Add legs, constituents, rejections and the reason for the source in use. */
    explain?: boolean;
    /** Answer an expired rate with its state instead of the problem `rate-expired`. */
    allowStale?: boolean;
}

/** A rate with the amount that was asked for and what it makes. */
export type Conversion = Schemas["RateAnswer"] & { amount: string; result: string };

export interface HistoryOptions {
    /** RFC 3339; from the beginning without it. */
    start?: string;
    /** RFC 3339; up to now without it. */
    end?: string;
    /** One source alone. */
    source?: string;
    /** What was published, instead of what was received. */
    published?: boolean;
    /** Rows of one question to the server; all pages are asked for in turn. */
    pageSize?: number;
}

export interface CandlesOptions {
    interval: Schemas["Interval"];
    start?: string;
    end?: string;
    source?: string;
    pageSize?: number;
}

type Json<Operation> = Operation extends {
    responses: { 200: { content: { "application/json": infer Body } } };
}
    ? Body
    : never;
type GetPath = {
    [Path in keyof paths]: [Json<paths[Path]["get"]>] extends [never] ? never : Path;
}[keyof paths];
type Query<Operation> = Operation extends { parameters: { query?: infer Parameters } }
    ? [NonNullable<Parameters>] extends [never]
        ? Record<string, never>
        : NonNullable<Parameters>
    : Record<string, never>;
type Names<Operation> = Operation extends { parameters: { path: infer Parameters } }
    ? Parameters
    : Record<string, never>;
type Value = string | number | boolean | readonly string[] | undefined;

interface Kept {
    etag: string;
    text: string;
}

const TIMEOUT_MS = 10_000;

/** A server of rates. */
export class Kurs {
    readonly #base: string;
    readonly #apiKey: string | undefined;
    readonly #cacheEntries: number;
    readonly #timeoutMs: number;
    readonly #fetch: typeof fetch;
    /** Least recently used first. */
    readonly #cache = new Map<string, Kept>();

    constructor(options: KursOptions) {
        this.#base = new URL(options.url).href.replace(/\/+$/, "");
        this.#apiKey = options.apiKey;
        this.#cacheEntries = options.cacheEntries ?? 0;
        this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
        // A `fetch` of browsers must not be called as a method of something else.
        this.#fetch = options.fetch ?? ((input, init) => fetch(input, init));
    }

    /** One rate, such as that of `BTC-RUB`. */
    get(pair: string, options: RateOptions = {}): Promise<Schemas["RateAnswer"]> {
        return this.call("/api/v1/rates/{base}/{quote}", split(pair), asked(options));
    }

    /** What an amount of the base asset makes in the quote asset. The amount is a text, like every price. */
    async convert(amount: string, pair: string, options: RateOptions = {}): Promise<Conversion> {
        const query = { ...asked(options), amount };
        const answer = await this.call("/api/v1/rates/{base}/{quote}", split(pair), query);
        if (answer.amount == null || answer.result == null) {
            throw new TypeError("the server answered without a result");
        }
        return { ...answer, amount: answer.amount, result: answer.result };
    }

    /** Every reachable rate of one base asset. */
    list(base: string, options: Pick<RateOptions, "allowStale"> = {}): Promise<Schemas["ListDocument"]> {
        return this.call("/api/v1/rates/{base}", { base }, asked(options));
    }

    /** Many rates; a pair that has none does not fail the others, it is named in `errors`. */
    batch(
        pairs: readonly string[],
        options: Pick<RateOptions, "allowStale"> = {},
    ): Promise<Schemas["BatchDocument"]> {
        return this.call("/api/v1/rates", {}, { ...asked(options), pairs: [pairs.join(",")] });
    }

    /** Stored rates, oldest first, page after page. */
    async *history(
        pair: string,
        options: HistoryOptions = {},
    ): AsyncGenerator<Schemas["PointDocument"], void, undefined> {
        const { pageSize, ...query } = options;
        for (let cursor: string | undefined; ; ) {
            const page = await this.call("/api/v1/history/{base}/{quote}", split(pair), {
                ...defined(query),
                ...defined({ limit: pageSize, cursor }),
            });
            yield* page.points;
            if (page.next == null) {
                return;
            }
            cursor = page.next;
        }
    }

    /** Candles, oldest first, page after page. */
    async *candles(
        pair: string,
        options: CandlesOptions,
    ): AsyncGenerator<Schemas["CandleDocument"], void, undefined> {
        const { pageSize, interval, ...query } = options;
        for (let cursor: string | undefined; ; ) {
            const page = await this.call("/api/v1/candles/{base}/{quote}", split(pair), {
                interval,
                ...defined(query),
                ...defined({ limit: pageSize, cursor }),
            });
            yield* page.candles;
            if (page.next == null) {
                return;
            }
            cursor = page.next;
        }
    }

    /** State and counters of all sources. */
    sources(): Promise<Schemas["SourcesDocument"]> {
        return this.call("/api/v1/sources", {}, {});
    }

    /** Follows a symbol, such as `BTCUSDT`. */
    track(symbol: string): Promise<Schemas["TrackedDocument"]> {
        return this.#json("POST", this.url("/api/v1/currency", {}), JSON.stringify({ symbol }));
    }

    /** Follows a symbol no more. */
    async untrack(symbol: string): Promise<void> {
        await this.#text("DELETE", this.url(`/api/v1/currency/${encodeURIComponent(symbol)}`, {}));
    }

    /** Any GET of the API, with the types of the OpenAPI document. */
    call<Path extends GetPath>(
        path: Path,
        names: Names<paths[Path]["get"]>,
        query: Query<paths[Path]["get"]>,
    ): Promise<Json<paths[Path]["get"]>> {
        const filled = path.replace(/\{(\w+)\}/g, (_, name: string) =>
            encodeURIComponent(String((names as Record<string, unknown>)[name])),
        );
        return this.#json("GET", this.url(filled, query as Record<string, Value>));
    }

    /** Events as they come, over server-sent events; goes on after a cut, until the loop is left. */
    stream(options: StreamOptions = {}): AsyncGenerator<StreamEvent, void, undefined> {
        const opener = {
            fetch: this.#fetch,
            url: (path: string, query: Record<string, Value>) => this.url(path, query),
            headers: (more: Record<string, string>) => this.#headers(more),
        };
        return openStream(opener, options);
    }

    /** The same over WebSocket; topics can be changed while it runs. */
    socket(options: SocketOptions): KursSocket {
        const opener = {
            socketUrl: () => this.#socketUrl(),
            mayListen: () => this.#mayListen(),
        };
        return new KursSocket(opener, options);
    }

    /** The address of a route. */
    url(path: string, query: Record<string, Value>): string {
        const parameters = new URLSearchParams();
        for (const [name, value] of Object.entries(query)) {
            for (const one of Array.isArray(value) ? (value as readonly string[]) : [value]) {
                if (one !== undefined) {
                    parameters.append(name, String(one));
                }
            }
        }
        const text = parameters.toString();
        return this.#base + path + (text === "" ? "" : `?${text}`);
    }

    async #socketUrl(): Promise<string> {
        const url = this.url("/api/v1/ws", {}).replace(/^http/, "ws");
        if (this.#apiKey === undefined) {
            return url;
        }
        const { ticket } = await this.#ticket();
        return `${url}?ticket=${encodeURIComponent(ticket)}`;
    }

    #ticket(): Promise<{ ticket: string }> {
        return this.#json("POST", this.url("/api/v1/stream/ticket", {}));
    }

    /** Who gets a ticket may listen; anything but a plain no is left to the next attempt. */
    async #mayListen(): Promise<void> {
        try {
            await this.#ticket();
        } catch (error) {
            if (error instanceof ProblemError && (error.status === 401 || error.status === 403)) {
                throw error;
            }
        }
    }

    #headers(more: Record<string, string>): Headers {
        const headers = new Headers(more);
        if (this.#apiKey !== undefined) {
            headers.set("Authorization", `Bearer ${this.#apiKey}`);
        }
        return headers;
    }

    async #json<Body>(method: string, url: string, body?: string): Promise<Body> {
        return JSON.parse(await this.#text(method, url, body)) as Body;
    }

    async #text(method: string, url: string, body?: string): Promise<string> {
        const headers = this.#headers({ Accept: "application/json" });
        if (body !== undefined) {
            headers.set("Content-Type", "application/json");
        }
        const kept = method === "GET" ? this.#cache.get(url) : undefined;
        if (kept !== undefined) {
            headers.set("If-None-Match", kept.etag);
        }
        const answer = await this.#fetch(url, {
            method,
            headers,
            signal: AbortSignal.timeout(this.#timeoutMs),
            ...(body === undefined ? {} : { body }),
            // Browsers keep answers as well; with a cache of our own, theirs would hide the 304.
            ...(this.#cacheEntries > 0 ? { cache: "no-store" as const } : {}),
        });
        if (answer.status === 304 && kept !== undefined) {
            this.#keep(url, kept);
            return kept.text;
        }
        if (!answer.ok) {
            throw await ProblemError.of(answer);
        }
        const text = await answer.text();
        const etag = answer.headers.get("etag");
        if (method === "GET" && etag !== null) {
            this.#keep(url, { etag, text });
        }
        return text;
    }

    #keep(url: string, kept: Kept): void {
        this.#cache.delete(url);
        this.#cache.set(url, kept);
        for (const oldest of this.#cache.keys()) {
            if (this.#cache.size <= this.#cacheEntries) {
                return;
            }
            this.#cache.delete(oldest);
        }
    }
}

/** Both assets of `BTC-RUB`, `btc/rub` or `BTC_RUB`. */
function split(pair: string): { base: string; quote: string } {
    const [base, quote, ...more] = pair.split(/[-/_]/);
    if (!base || !quote || more.length > 0) {
        throw new TypeError(`a pair is BASE-QUOTE, such as BTC-RUB: ${pair}`);
    }
    return { base, quote };
}

/** The options under the names of the API. */
function asked(options: RateOptions) {
    const { at, seq, explain, allowStale } = options;
    const number = seq === undefined ? undefined : String(seq);
    return defined({ at, seq: number, explain, allow_stale: allowStale });
}

type Defined<Options> = { [Name in keyof Options]?: Exclude<Options[Name], undefined> };

/** Only what was given. */
function defined<Options extends object>(options: Options): Defined<Options> {
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    return Object.fromEntries(given) as Defined<Options>;
}
