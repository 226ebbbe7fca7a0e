/**
 * Client of kurs, the self-hosted exchange-rate server. Prices are texts: exact decimals that
 * no binary float has touched.
 *
 * | file | what it holds |
 * |---|---|
 * | `client` | questions and answers over HTTP |
 * | `problem` | what a server says when it cannot answer |
 * | `events` | what streams tell |
 * | `stream` | server-sent events that go on after a cut |
 * | `socket` | the same over WebSocket |
 * | `backoff`, `sse` | their parts |
 * | `generated/schema` | types of the OpenAPI document; made by a tool |
 */
export { Kurs } from "./client.js";
export type {
    CandlesOptions,
    Conversion,
    HistoryOptions,
    KursOptions,
    RateOptions,
    Schemas,
} from "./client.js";
export type { StreamEvent, StreamEventKind } from "./events.js";
export { ProblemError } from "./problem.js";
export type { ProblemDocument } from "./problem.js";
export { KursSocket } from "./socket.js";
export type { SocketOptions, WebSocketConstructor, WebSocketLike } from "./socket.js";
export type { StreamOptions } from "./stream.js";
export type { components, operations, paths } from "./generated/schema.js";
