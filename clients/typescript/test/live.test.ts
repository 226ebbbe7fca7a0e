/** Against the live server that the environment names as `KURS_URL`: invented prices, loopback only. */
import assert from "node:assert/strict";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import WebSocket from "ws";
import { Kurs, ProblemError } from "../src/index.js";
import type { StreamEvent, WebSocketConstructor } from "../src/index.js";

const url = process.env["KURS_URL"] ?? "";
assert.ok(url, "KURS_URL names no server");
const webSocket = WebSocket as unknown as WebSocketConstructor;
/** No answer and no stream may take longer: the test fails instead of hanging. */
const limit = { timeout: 60_000 };

describe("answers", () => {
    const kurs = new Kurs({ url });

    it("has rates as exact decimals in texts", limit, async () => {
        const rate = await kurs.get("BTC-RUB", { explain: true });
        assert.equal(rate.pair, "BTC-RUB");
        assert.match(rate.value, /^[0-9]+(\.[0-9]+)?$/);
        assert.match(rate.source, /^sim:/);
        assert.ok((rate.constituents ?? []).length > 0, "explain adds the constituents");
    });

    it("converts amounts without a number in between", limit, async () => {
        const conversion = await kurs.convert("2.5", "BTC-USD");
        assert.equal(conversion.amount, "2.5");
        assert.equal(typeof conversion.result, "string");
        const ratio = Number(conversion.result) / Number(conversion.value);
        assert.ok(Math.abs(ratio - 2.5) < 1e-9, String(ratio));
    });

    it("lists the rates of an asset", limit, async () => {
        const list = await kurs.list("BTC");
        assert.ok(list.rates.some((rate) => rate.pair === "BTC-USD"));
    });

    it("names the pair of a batch that has no rate, and gives the others", limit, async () => {
        const batch = await kurs.batch(["BTC-USD", "ETH-RUB", "BTC-NOSUCH"]);
        assert.deepEqual(batch.rates.map((rate) => rate.pair), ["BTC-USD", "ETH-RUB"]);
        assert.deepEqual(batch.errors.map((error) => error.pair), ["BTC-NOSUCH"]);
    });

    it("pages through the history without losing or repeating a row", limit, async () => {
        const end = (await firstPublished(kurs)).received_at;
        const read = async (pageSize: number) => {
            const rows: string[] = [];
            for await (const point of kurs.history("BTC-USDT", { end, pageSize })) {
                rows.push(`${point.epoch}/${point.seq}/${point.source}`);
            }
            return rows;
        };
        const [small, large] = [await read(3), await read(1_000)];
        assert.ok(small.length > 3, `${small.length} rows`);
        assert.deepEqual(small, large);
        assert.equal(new Set(small).size, small.length);
    });

    it("tells an answer of the past again", limit, async () => {
        const rate = await kurs.get("BTC-USDT");
        const { published_at: at, seq } = rate;
        const again = await eventually(() => kurs.get("BTC-USDT", { at, seq }));
        assert.equal(again.value, rate.value);
    });

    it("reaches every route with the types of the document", limit, async () => {
        const pairs = await kurs.call("/api/v1/pairs", {}, {});
        assert.ok(pairs.published.length > 0);
        const health = await kurs.call("/livez", {}, {});
        assert.equal(health.status, "ok");
    });

    it("follows a symbol and lets it go", limit, async () => {
        const tracked = await kurs.track("BTCUSDT");
        assert.equal(tracked.pair, "BTC-USDT");
        await kurs.untrack("BTCUSDT");
    });
});

describe("problems", () => {
    const kurs = new Kurs({ url });

    it("are errors with their kind", limit, async () => {
        await assert.rejects(kurs.get("BTC-NOSUCH"), (error: unknown) => {
            assert.ok(error instanceof ProblemError);
            assert.equal(error.kind, "unknown-asset");
            assert.equal(error.status, 404);
            assert.equal(error.isPassing, false);
            return true;
        });
    });

    it("name the parameter", limit, async () => {
        await assert.rejects(kurs.convert("much", "BTC-USD"), (error: unknown) => {
            assert.ok(error instanceof ProblemError);
            assert.deepEqual(error.document.errors?.map((field) => field.parameter), ["amount"]);
            return true;
        });
    });

    it("of a stream that cannot begin end it", limit, async () => {
        const stream = kurs.stream({ topics: ["no such topic"] });
        await assert.rejects(stream.next(), ProblemError);
    });

    it("of a socket that cannot begin end it", limit, async () => {
        const socket = kurs.socket({ topics: ["no such topic"], webSocket });
        const events = socket[Symbol.asyncIterator]();
        await assert.rejects(async () => {
            while (!(await events.next()).done);
        }, ProblemError);
    });
});

describe("a socket that is not for this client", () => {
    it("ends with the problem that its opening does not show", limit, async () => {
        const problem = { type: "/docs/problems#unauthorized", title: "", status: 401, detail: "" };
        const refusing = async () => Response.json(problem, { status: 401 });
        class Refused {
            readyState = 3;
            onopen = null;
            onmessage = null;
            onclose: ((event: never) => void) | null = null;
            onerror = null;
            constructor() {
                setImmediate(() => (this.onclose as ((event: object) => void) | null)?.({ code: 1006 }));
            }
            send(): void {}
            close(): void {}
        }
        const socket = new Kurs({ url, fetch: refusing }).socket({ topics: [], webSocket: Refused });
        await assert.rejects(socket[Symbol.asyncIterator]().next(), { kind: "unauthorized" });
    });
});

describe("headers", () => {
    it("ask whether a kept answer still holds", limit, async () => {
        const seen: number[] = [];
        const kurs = new Kurs({
            url,
            cacheEntries: 8,
            fetch: async (input, init) => {
                const answer = await fetch(input, init);
                seen.push(answer.status);
                return answer;
            },
        });
        const first = await kurs.call("/api/v1/currencies", {}, {});
        assert.deepEqual(await kurs.call("/api/v1/currencies", {}, {}), first);
        assert.deepEqual(seen, [200, 304]);
    });

    it("carry the key, and addresses do not", limit, async () => {
        const asked: Request[] = [];
        const kurs = new Kurs({
            url,
            apiKey: "kurs_test",
            fetch: (input, init) => {
                asked.push(new Request(input, init));
                return Promise.resolve(Response.json({}));
            },
        });
        await kurs.list("BTC");
        assert.equal(asked[0]?.headers.get("authorization"), "Bearer kurs_test");
        assert.ok(!asked[0]?.url.includes("kurs_test"));
    });

    it("of a socket are none: a ticket stands in for the key", limit, async () => {
        const asked: Request[] = [];
        const kurs = new Kurs({
            url,
            apiKey: "kurs_test",
            fetch: (input, init) => {
                asked.push(new Request(input, init));
                return Promise.resolve(Response.json({ ticket: "good once", expires_in_seconds: 30 }));
            },
        });
        const opened = await new Promise<string>((resolve) => {
            class Opened {
                readyState = 0;
                onopen = null;
                onmessage = null;
                onclose: ((event: never) => void) | null = null;
                onerror = null;
                constructor(address: string) {
                    resolve(address);
                }
                send(): void {}
                close(): void {
                    (this.onclose as ((event: { code: number }) => void) | null)?.({ code: 1000 });
                }
            }
            const socket = kurs.socket({ topics: ["rates"], webSocket: Opened });
            after(() => socket.close());
        });
        assert.ok(opened.endsWith("/api/v1/ws?ticket=good%20once"), opened);
        assert.equal(asked[0]?.method, "POST");
        assert.ok(asked[0]?.url.endsWith("/api/v1/stream/ticket"));
    });
});

/** A rate that was told: which one, and when it was published. */
interface Heard {
    id: string;
    at: string;
}

describe("streams", () => {
    let cutter: Cutter;
    before(async () => {
        cutter = await Cutter.before(url);
    });
    after(() => cutter.close());

    it("go on after a cut with the very next event", limit, async () => {
        const kurs = new Kurs({ url: cutter.url });
        const ids = await heardOverCuts(kurs.stream({ topics: ["rate:BTC-USDT"] }));
        await assertNothingMissed(ids);
    });

    it("over WebSocket go on after a cut with the very next event", limit, async () => {
        const kurs = new Kurs({ url: cutter.url });
        const socket = kurs.socket({ topics: ["rate:BTC-USDT"], webSocket });
        const ids = await heardOverCuts(socket);
        await assertNothingMissed(ids);
    });

    it("over WebSocket change what they tell", limit, async () => {
        const socket = new Kurs({ url }).socket({ topics: ["rate:BTC-USD"], webSocket });
        for await (const event of socket) {
            if (event.event === "rate") {
                if (event.data.topic === "rate:ETH-USD") {
                    break;
                }
                await socket.subscribe(["rate:ETH-USD"]);
            }
        }
    });

    it("end when the caller says so", limit, async () => {
        const stop = new AbortController();
        for await (const event of new Kurs({ url }).stream({ signal: stop.signal })) {
            assert.ok(event.event);
            stop.abort();
        }
    });

    /** Rates of one pair, over three connections. */
    async function heardOverCuts(events: AsyncIterable<StreamEvent>): Promise<Heard[]> {
        const heard: Heard[] = [];
        let connections = 0;
        for await (const event of events) {
            assert.notEqual(event.event, "gap");
            if (event.event === "hello") {
                connections += 1;
                assert.equal(event.data.resumed, connections > 1);
            }
            if (event.event === "snapshot") {
                assert.equal(connections, 1, "a stream that goes on has no snapshot");
            }
            if (event.event === "rate") {
                const { epoch, seq, published_at: at } = event.data.rate;
                heard.push({ id: `${epoch}/${seq}`, at });
                const wanted = connections * 5;
                if (heard.length >= wanted && connections === 3) {
                    break;
                }
                if (heard.length >= wanted) {
                    cutter.cut();
                }
            }
        }
        return heard;
    }

    /** What was heard is what was published, each once, in order: the history is the witness. */
    async function assertNothingMissed(rates: Heard[]): Promise<void> {
        const heard = rates.map((rate) => rate.id);
        assert.equal(new Set(heard).size, heard.length, "nothing twice");
        const kurs = new Kurs({ url });
        const options = { published: true, start: rates[0]?.at ?? "", pageSize: 1_000 };
        await eventually(async () => {
            const published: string[] = [];
            for await (const point of kurs.history("BTC-USDT", options)) {
                published.push(`${point.epoch}/${point.seq}`);
            }
            const first = published.indexOf(heard[0] ?? "");
            assert.ok(first >= 0 && published.includes(heard.at(-1) ?? ""), "not stored yet");
            assert.deepEqual(published.slice(first, first + heard.length), heard);
        });
    }
});

async function firstPublished(kurs: Kurs) {
    return eventually(async () => {
        let count = 0;
        for await (const point of kurs.history("BTC-USDT", { pageSize: 20 })) {
            count += 1;
            if (count === 20) {
                return point;
            }
        }
        throw new Error("the history is too short yet");
    });
}

/** Tries until it works: stores and markets take a moment. */
async function eventually<Result>(attempt: () => Promise<Result>): Promise<Result> {
    const end = Date.now() + 30_000;
    for (;;) {
        try {
            return await attempt();
        } catch (error) {
            if (Date.now() > end) {
                throw error;
            }
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
    }
}

/** Stands between client and server, and cuts all connections on demand. */
class Cutter {
    readonly #sockets = new Set<net.Socket>();
    readonly #server: net.Server;

    private constructor(target: URL) {
        this.#server = net.createServer((near) => {
            const far = net.connect(Number(target.port), target.hostname);
            for (const [socket, other] of [[near, far], [far, near]] as const) {
                this.#sockets.add(socket);
                socket.on("error", () => undefined);
                socket.on("close", () => {
                    this.#sockets.delete(socket);
                    other.destroy();
                });
                socket.pipe(other);
            }
        });
    }

    static async before(url: string): Promise<Cutter> {
        const cutter = new Cutter(new URL(url));
        await new Promise<void>((resolve) => cutter.#server.listen(0, "127.0.0.1", resolve));
        return cutter;
    }

    get url(): string {
        return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    }

    cut(): void {
        this.#sockets.forEach((socket) => socket.resetAndDestroy());
    }

    close(): void {
        this.#server.close();
        this.cut();
    }
}
