/**
 * The reader of tableturn's flag, for applications in Node: which side serves, and when it may be written.
 *
 *     const flag = new Flag({ client: new DynamoDBClient({}), table: "acme-entities-tableturn" }); // once a process
 *     const permission = await flag.permission(); // right before each write; waits while blocked
 *     await writer.send(command, { abortSignal: permission.signal() });
 *
 * What holds, and why no write that began under an open flag lands behind the fence: a view that was read at R is
 * believed until R + staleness, and a write that asks before it begins has ended `longestRequestMs` later. The worker
 * writes the fence and waits for the sum of both. So: ask right before each write, let none take longer than
 * `permission.milliseconds`, and never send one again without asking again (a client with `maxAttempts: 1`).
 * See docs/operating/flag.md.
 */
import { GetItemCommand } from "@aws-sdk/client-dynamodb";

const KEY = { PK: { S: "migration" }, SK: { S: "flag" } };
const NO_FLAG = new Set(["ResourceNotFoundException", "ValidationException"]);

/** Root of what this reader throws; nothing was written by it. */
export class FlagError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = this.constructor.name;
  }
}
/** Writes were blocked for longer than `maxWaitMs`: answer "try again", as with any overload. */
export class Blocked extends FlagError {}
/** The flag could not be read for longer than `maxWaitMs`, or, for reads, than `readsOnMs`. */
export class Unreachable extends FlagError {}
/** What stands there is no flag: another table, or none that `tableturn init` has made. */
export class Misread extends FlagError {}

/** Both clocks, in milliseconds, and waiting; tests have their own. */
export const clocks = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  wait: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
};

/** Reads the flag for one process; whoever asks at the same time shares one reading. */
export class Flag {
  #client;
  #table;
  #times;
  #clocks;
  #view = null;
  #reading = null;

  constructor({ client, table, ...times }, ownClocks = clocks) {
    this.#client = client;
    this.#table = table;
    this.#times = {
      stalenessMs: 1000,
      longestRequestMs: 2000,
      pollMs: 100,
      maxWaitMs: 60_000,
      readsOnMs: 300_000,
      readMs: 3000,
      ...times,
    };
    this.#clocks = ownClocks;
  }

  /** Wait until a side (or `side`) may be written; resolve to the permission. */
  async permission(side) {
    const { longestRequestMs, maxWaitMs, pollMs } = this.#times;
    const until = this.#clocks.monotonic() + maxWaitMs;
    for (;;) {
      let view = null;
      let last = null;
      try {
        view = await this.#fresh();
      } catch (error) {
        if (!(error instanceof Unreachable)) throw error;
        last = error;
      }
      if (view?.writable && (side === undefined || side === view.side)) {
        const granted = this.#clocks.monotonic();
        const signal = () => {
          const left = Math.floor(granted + longestRequestMs - this.#clocks.monotonic()); // from now, not from the call
          return left > 0 ? AbortSignal.timeout(left) : AbortSignal.abort();
        };
        return { side: view.side, epoch: view.epoch, milliseconds: longestRequestMs, signal };
      }
      if (this.#clocks.monotonic() >= until) {
        throw last ?? new Blocked(`writes were blocked for ${maxWaitMs} ms`);
      }
      await this.#clocks.wait(pollMs);
    }
  }

  /** The side to read from. */
  async serving() {
    try {
      return (await this.#fresh()).side;
    } catch (error) {
      const known = this.#view !== null && this.#age(this.#view) <= this.#times.readsOnMs;
      if (error instanceof Unreachable && known) return this.#view.side;
      throw error;
    }
  }

  /** What an application's /health says of the flag; throws nothing. */
  async health() {
    try {
      const { side, writable, epoch } = await this.#fresh();
      if (writable) return { status: "healthy", serving: side, epoch };
      return { status: "maintenance", message: "System under maintenance", serving: side };
    } catch (error) {
      return { status: "degraded", message: `the flag cannot be read: ${error.name}` };
    }
  }

  /** A view that may be believed now: a blocked one is read anew every `pollMs`. */
  async #fresh() {
    const { stalenessMs, pollMs } = this.#times;
    if (this.#view !== null) {
      const limit = this.#view.writable ? stalenessMs : Math.min(pollMs, stalenessMs);
      if (this.#age(this.#view) < limit) return this.#view;
    }
    this.#reading ??= this.#read().finally(() => {
      this.#reading = null;
    });
    const view = await this.#reading;
    if (this.#age(view) <= stalenessMs) return view;
    // It may be old by now: nothing may rest on it.
    throw new Unreachable(`reading the flag in table ${this.#table} takes longer than ${stalenessMs} ms`);
  }

  /** The larger of both ages: a frozen sandbox stops one clock, and the other may be set. One that went back is no proof. */
  #age(view) {
    const monotonic = this.#clocks.monotonic() - view.monotonic;
    const wall = this.#clocks.wall() - view.wall;
    return Math.min(monotonic, wall) < 0 ? Infinity : Math.max(monotonic, wall);
  }

  async #read() {
    const monotonic = this.#clocks.monotonic(); // before: it shows the flag as of now or later
    const wall = this.#clocks.wall();
    let item;
    try {
      const command = new GetItemCommand({ TableName: this.#table, Key: KEY, ConsistentRead: true });
      // Without an end of its own a connection that died in a frozen sandbox would keep everybody waiting for good.
      item = (await this.#client.send(command, { abortSignal: AbortSignal.timeout(this.#times.readMs) })).Item;
    } catch (error) {
      if (NO_FLAG.has(error?.name)) throw new Misread(`there is no flag in table ${this.#table}`, { cause: error });
      throw new Unreachable(`the flag in table ${this.#table} cannot be read`, { cause: error });
    }
    const side = item?.serving?.S;
    const writable = item?.writable?.BOOL;
    const epoch = Number(item?.epoch?.N);
    if (!["source", "target"].includes(side) || typeof writable !== "boolean" || !Number.isSafeInteger(epoch)) {
      throw new Misread(`there is no flag in table ${this.#table}: see whether \`tableturn init\` has made it`);
    }
    this.#view = { side, writable, epoch, monotonic, wall };
    return this.#view;
  }
}
