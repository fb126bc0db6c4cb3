import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";

export type Side = "source" | "target";

export interface Times {
  /** How old a view may be; must be the worker's TABLETURN_FLAG_STALENESS_SECONDS. Default 1000. */
  stalenessMs?: number;
  /** How long one write may take; must be the worker's TABLETURN_LONGEST_REQUEST_SECONDS. Default 2000. */
  longestRequestMs?: number;
  /** Between looks while blocked. Default 100. */
  pollMs?: number;
  /** How long a write waits. Default 60 000. */
  maxWaitMs?: number;
  /** How long reads believe the last view while the flag cannot be read. Default 300 000. */
  readsOnMs?: number;
  /** How long one reading of the flag may take; one that takes longer than the staleness is of no use. Default 3000. */
  readMs?: number;
}

export interface Clocks {
  monotonic(): number;
  wall(): number;
  wait(milliseconds: number): Promise<void>;
}

/** Leave to write one side, for a write that begins now. */
export interface Permission {
  side: Side;
  /** Grows with each change of the flag: what was read under another one may be stale. */
  epoch: number;
  milliseconds: number;
  /** Aborts the write when the permission's time is over, whenever it is called: `client.send(command, { abortSignal: permission.signal() })`. */
  signal(): AbortSignal;
}

export interface Health {
  status: "healthy" | "maintenance" | "degraded";
  message?: string;
  serving?: Side;
  epoch?: number;
}

export class FlagError extends Error {}
export class Blocked extends FlagError {}
export class Unreachable extends FlagError {}
export class Misread extends FlagError {}

export const clocks: Clocks;

export class Flag {
  constructor(options: { client: Pick<DynamoDBClient, "send">; table: string } & Times, clocks?: Clocks);
  permission(side?: Side): Promise<Permission>;
  serving(): Promise<Side>;
  health(): Promise<Health>;
}
