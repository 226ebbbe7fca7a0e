// The real program, started for a test and ended after it.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROGRAM = process.env.PAGE_PROGRAM ?? "kurs";
const START_MS = 60_000;
/** Files of the page that are worked on, instead of those in the program. */
const ofFolder = process.env.PAGE_WEB_DIR ? { KURS_HTTP__WEB_DIR: process.env.PAGE_WEB_DIR } : {};

/**
 * A port that nobody listens on at the moment, below those the machine takes for outgoing
 * connections: it stays free while its server is restarted.
 * @returns {Promise<number>}
 */
export function freePort() {
  const port = 10_000 + Math.floor(Math.random() * 20_000);
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(freePort()));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(port)));
  });
}

/** A folder that is gone when the test is. */
export function folder() {
  const path = mkdtempSync(join(tmpdir(), "kurs-page-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** One running program. */
export class Kurs {
  /**
   * @param {string[]} words
   * @param {{ folder: string, environment?: Record<string, string>, ready: RegExp }} how
   */
  static start(words, { folder: cwd, environment = {}, ready }) {
    const env = { PATH: process.env.PATH ?? "", HOME: cwd, ...ofFolder, ...environment };
    const child = spawn(PROGRAM, words, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    const started = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not ready: ${said}`)), START_MS);
      const hear = (/** @type {Buffer} */ bytes) => {
        // What comes after the start is read and dropped, so that the pipe never fills.
        if (said.length > 100_000) return;
        said += bytes.toString();
        const found = ready.exec(said);
        if (!found) return;
        clearTimeout(timer);
        resolve({ found, said });
      };
      child.stdout.on("data", hear);
      child.stderr.on("data", hear);
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`ended with ${code}: ${said}`)));
    });
    return started.then(({ found, said: text }) => new Kurs(child, found[1] ?? "", text));
  }

  constructor(child, url, said) {
    this.child = child;
    this.url = url;
    this.said = said;
  }

  /** Ends it, at once. */
  stop() {
    return new Promise((resolve) => {
      if (this.child.exitCode !== null || this.child.signalCode !== null) return resolve(undefined);
      this.child.once("exit", () => resolve(undefined));
      this.child.kill("SIGKILL");
    });
  }
}

const READY = /kurs is ready: (http:\/\/\S+)[^\n]*\n/;
const VENUES = /faults on demand: (http:\/\/\S+)\/control[^\n]*\n/;

/** `kurs demo`. @param {string} cwd @param {Record<string, string>} [environment] @param {string[]} [words] */
export function demo(cwd, environment = {}, words = []) {
  return Kurs.start(["demo", "--log-format", "text", ...words], {
    folder: cwd, ready: READY, environment: { KURS_HTTP__ADDR: "127.0.0.1:0", ...environment },
  });
}

/** `kurs sim`; its environment for a server is what it prints. @param {string} cwd */
export async function venues(cwd) {
  const sim = await Kurs.start(["sim", "--addr", `127.0.0.1:${await freePort()}`], { folder: cwd, ready: VENUES });
  const environment = Object.fromEntries([...sim.said.matchAll(/^(KURS_\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]));
  return { sim, environment };
}

/** `kurs serve`. @param {string} cwd @param {Record<string, string>} environment */
export function serve(cwd, environment) {
  return Kurs.start(["serve", "--log-format", "text"], { folder: cwd, ready: READY, environment });
}

/** A new key. @param {string} cwd @param {string} scopes */
export function newKey(cwd, scopes) {
  const said = execFileSync(PROGRAM, ["keys", "create", "--name", "page", "--scope", scopes], {
    cwd, env: { PATH: process.env.PATH ?? "", HOME: cwd, KURS_STORE__URL: "sqlite:kurs.db" }, encoding: "utf8",
  });
  return said.trim();
}
