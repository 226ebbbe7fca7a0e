// Types of what the server answers, from the generated client. For the compiler's checks alone.
import type { components } from "../../../clients/typescript/src/generated/schema";

type Schemas = components["schemas"];
export type Rate = Schemas["RateDocument"];
export type Explained = Schemas["RateAnswer"];
export type Constituent = Schemas["ConstituentDocument"];
export type Rejection = Schemas["RejectionDocument"];
export type Source = Schemas["SourceDocument"];
export type Candle = Schemas["CandleDocument"];
export type Alert = Schemas["Alert"];
export type Delivery = Schemas["Delivery"];
export type Gap = Schemas["GapDocument"];

export interface Change {
  pair: string;
  change_1h_percent?: string;
  change_24h_percent?: string;
  points: string[];
}

/** One view of the page. */
export interface View {
  /** What the tab of the browser is called. */
  title(): string;
  /** A turn of the clock: once per frame at most, at the chosen pace. */
  draw(): void;
  /** Another address of the same view. */
  route?(route: Route): void;
  /** A key was pressed that nothing else wanted; true when it is used. */
  key?(event: KeyboardEvent): boolean;
  /** The view goes. */
  close(): void;
}

export interface Route {
  name: string;
  pair: string;
  query: URLSearchParams;
}
