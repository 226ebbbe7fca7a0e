import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Backoff } from "../src/backoff.js";
import { SseParser } from "../src/sse.js";

describe("the parser of server-sent events", () => {
    const stream = "retry: 2108\n\n: comment\n\nid: 0.1-7\nevent: rate\ndata: {\"a\":\ndata: \"ä\"}\n\nevent: x\n\n";
    const expect = [{ event: "rate", data: '{"a":\n"ä"}', id: "0.1-7" }];

    it("reads the same events wherever the pieces are cut, with any line ends", () => {
        for (const ends of ["\n", "\r\n"]) {
            const bytes = new TextEncoder().encode(stream.replaceAll("\n", ends));
            for (let cut = 0; cut <= bytes.length; cut += 1) {
                const parser = new SseParser();
                const pieces = [parser.feed(bytes.slice(0, cut)), parser.feed(bytes.slice(cut))];
                assert.deepEqual(pieces.flatMap((news) => news.events), expect, `${cut}`);
                assert.ok(pieces.some((news) => news.retryMs === 2108));
            }
        }
    });
});

describe("the back-off", () => {
    it("doubles to a bound, begins anew after success, and does what the server asks", () => {
        const backoff = new Backoff();
        const most = () => backoff.next(() => 1);
        assert.deepEqual([most(), most(), most()], [1_000, 2_000, 4_000]);
        for (let attempt = 0; attempt < 20; attempt += 1) {
            most();
        }
        assert.equal(most(), 30_000);
        backoff.ask(1_234);
        assert.equal(most(), 1_234);
        backoff.reset();
        assert.equal(most(), 1_000);
    });
});
