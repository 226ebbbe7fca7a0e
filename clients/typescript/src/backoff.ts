const FIRST_MS = 1_000;
const LONGEST_MS = 30_000;

/** How long to wait before the next attempt: doubling, with full jitter, bounded. */
export class Backoff {
    #attempts = 0;
    /** What the server asked for; holds for one wait. */
    #asked: number | undefined;

    /** Something was heard: the next cut begins from the start. */
    reset(): void {
        this.#attempts = 0;
    }

    /** The server said when to come back. */
    ask(waitMs: number): void {
        if (Number.isFinite(waitMs) && waitMs >= 0) {
            this.#asked = Math.min(waitMs, LONGEST_MS);
        }
    }

    next(random: () => number = Math.random): number {
        const asked = this.#asked;
        this.#asked = undefined;
        const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#attempts);
        this.#attempts = Math.min(this.#attempts + 1, 16);
        return asked ?? random() * most;
    }
}

/** Waits; ends at once when the signal says so. */
export function sleep(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
        if (signal?.aborted) {
            resolve();
            return;
        }
        const done = () => {
            clearTimeout(timer);
            signal?.removeEventListener("abort", done);
            resolve();
        };
        const timer = setTimeout(done, waitMs);
        signal?.addEventListener("abort", done);
    });
}
