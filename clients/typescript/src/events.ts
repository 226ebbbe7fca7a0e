import type { components } from "./generated/schema.js";

type Schemas = components["schemas"];

/** Own best prices of a source. */
export interface SourcePrice {
    source: string;
    pair: string;
    value: string;
    bid?: string | null;
    ask?: string | null;
    state: string;
    why: string;
    published_at: string;
    [member: string]: unknown;
}

/** State and counters of a source. */
export interface SourceStatus {
    source: string;
    kind: string;
    state: string;
    why: string;
    [member: string]: unknown;
}

/** A topic of which nothing can be shown, and why. */
export interface TopicError {
    topic: string;
    code: string;
    detail: string;
}

interface Datas {
    /** The stream begins, or goes on when `resumed`. */
    hello: { resumed: boolean; topics: string[]; heartbeat_ms: number; degraded: string };
    /** How everything stands; the final part has `last`. */
    snapshot: {
        rates: Schemas["RateDocument"][];
        errors: TopicError[];
        prices: SourcePrice[];
        sources: SourceStatus[];
        last: boolean;
    };
    /** A rate has changed. */
    rate: { topic: string; rate: Schemas["RateDocument"] };
    /** A source, or its price, has changed. */
    source: { topic: string; price?: SourcePrice; status?: SourceStatus };
    /** There is no rate. */
    error: TopicError;
    /** Something was left out. */
    gap: { reason: string; missed?: number; [member: string]: unknown };
    /** Nothing more was told up to here. */
    heartbeat: { [member: string]: unknown };
    /** This connection ends; the client comes back by itself. */
    bye: { reason: string; reconnect_after_ms: number };
}

/** Kinds of events. A later server may tell others: they are told with their name. */
export type StreamEventKind = keyof Datas;

/** What a stream tells. `id` is the place to go on from: `resumeFrom` of another stream. */
export type StreamEvent = {
    [Kind in StreamEventKind]: { event: Kind; data: Datas[Kind]; id: string | undefined };
}[StreamEventKind];
