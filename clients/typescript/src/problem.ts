import type { components } from "./generated/schema.js";

/** A problem document as the server writes it; kinds may add members, such as `rate`. */
export type ProblemDocument = components["schemas"]["Problem"] & { [member: string]: unknown };

/** The server answered that it cannot do what was asked. */
export class ProblemError extends Error {
    override readonly name = "ProblemError";
    /** Kind of problem, the same for ever: `rate-expired`, `unknown-asset`, ... */
    readonly kind: string;
    /** Status code of the answer. */
    readonly status: number;
    /** When another attempt makes sense, if the server said so. */
    readonly retryAfterSeconds: number | undefined;

    constructor(
        readonly document: ProblemDocument,
        retryAfter: string | null,
    ) {
        super(`${document.title}: ${document.detail}`);
        this.kind = document.type.slice(document.type.lastIndexOf("#") + 1);
        this.status = document.status;
        const seconds = Number(retryAfter ?? Number.NaN);
        this.retryAfterSeconds = Number.isFinite(seconds) ? seconds : undefined;
    }

    /** Whether the same question may be answered later. */
    get isPassing(): boolean {
        return this.status === 408 || this.status === 429 || this.status >= 500;
    }

    /** Reads the problem of an answer that is no success; a proxy may have written something else. */
    static async of(answer: Response): Promise<ProblemError> {
        const text = await answer.text().catch(() => "");
        return new ProblemError(
            documentOf(text) ?? {
                type: "about:blank",
                title: answer.statusText || "No problem document",
                status: answer.status,
                detail: text.slice(0, 200),
                instance: answer.headers.get("x-request-id") ?? "",
            },
            answer.headers.get("retry-after"),
        );
    }
}

function documentOf(text: string): ProblemDocument | undefined {
    try {
        const document = JSON.parse(text) as Partial<ProblemDocument> | null;
        const isProblem =
            typeof document?.type === "string" &&
            typeof document.title === "string" &&
            typeof document.status === "number" &&
            typeof document.detail === "string";
        return isProblem ? (document as ProblemDocument) : undefined;
    } catch {
        return undefined;
    }
}
