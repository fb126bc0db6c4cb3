/** Plays ../cases.json against the reader, in virtual time; ends with code 1 when one goes otherwise. */
import { readFile } from "node:fs/promises";
import { Flag } from "./flag.mjs";

const { cases, times } = JSON.parse(await readFile(new URL("../cases.json", import.meta.url), "utf8"));
const inMs = ({ staleness, longest_request, poll, max_wait, reads_on }) => ({
  stalenessMs: staleness * 1000,
  longestRequestMs: longest_request * 1000,
  pollMs: poll * 1000,
  maxWaitMs: max_wait * 1000,
  readsOnMs: reads_on * 1000,
});

class Scene {
  now = 0;
  lost = 0;
  set = 0;
  readings = 0;

  constructor({ flag, reading = 0 }) {
    this.flag = flag;
    this.reading = reading * 1000;
    this.clocks = {
      monotonic: () => this.now - this.lost,
      wall: () => 1e12 + this.now - this.set,
      wait: async (milliseconds) => void (this.now += milliseconds),
    };
  }

  async send() {
    this.readings += 1;
    const standing = this.flag.findLast(([from]) => from * 1000 <= this.now)[1];
    this.now += this.reading;
    if (standing === "unreachable") throw new Error("nobody answers");
    if (standing === "none") return {};
    if (standing === "garbled") return { Item: { serving: { S: "both" }, writable: { S: "yes" } } };
    const [side, writable, epoch] = standing;
    return { Item: { serving: { S: side }, writable: { BOOL: writable }, epoch: { N: String(epoch) } } };
  }
}

async function ask(flag, { ask: what, side }) {
  try {
    const got = await flag[what](side);
    if (what === "permission") return [got.side, got.epoch, got.milliseconds / 1000];
    return what === "health" ? got.status : got;
  } catch (error) {
    return `fails: ${error.name}`;
  }
}

const wrong = [];
for (const each of cases) {
  const scene = new Scene(each);
  const flag = new Flag({ client: scene, table: "ledger", ...inMs(times) }, scene.clocks);
  for (const step of each.steps) {
    const passed = Math.max(0, step.at * 1000 - scene.now);
    scene.now += passed;
    if (step.frozen) scene.lost += passed;
    scene.set += (step.back ?? 0) * 1000;
    const got = JSON.stringify(await ask(flag, step));
    const wanted = JSON.stringify(step.fails ? `fails: ${step.fails}` : step.gets);
    const told = `${each.name}: at ${step.at} ${step.ask}`;
    if (got !== wanted) wrong.push(`${told} gave ${got}, not ${wanted}`);
    if (step.now !== undefined && Math.abs(scene.now - step.now * 1000) > 1) {
      wrong.push(`${told} ended at ${scene.now / 1000}, not ${step.now}`);
    }
    if (step.readings !== undefined && scene.readings !== step.readings) {
      wrong.push(`${told} read ${scene.readings} times, not ${step.readings}`);
    }
  }
}

// A client whose answer never comes, as on a connection that died while the sandbox was frozen.
let ended = false;
const silent = {
  send: (_command, options) =>
    new Promise((_, reject) => {
      const alive = setTimeout(() => reject(new Error("nobody ended it")), 5_000);
      options?.abortSignal?.addEventListener("abort", () => {
        clearTimeout(alive);
        ended = true;
        reject(options.abortSignal.reason);
      });
    }),
};
const { status } = await new Flag({ client: silent, table: "ledger", readMs: 20 }).health();
if (status !== "degraded" || !ended) wrong.push(`a reading without an answer gave ${status}, ended: ${ended}`);

// A permission that was kept for too long: what is sent with it is aborted, not given the whole time anew.
const late = new Scene({ flag: [[0, ["source", true, 1]]] });
const kept = await new Flag({ client: late, table: "ledger", longestRequestMs: 2000 }, late.clocks).permission();
if (kept.signal().aborted) wrong.push("a permission ended before its time");
late.now += 2000;
if (!kept.signal().aborted) wrong.push("a permission lasted longer than it says");
console.log(wrong.join("\n") || `${cases.length} cases`);
process.exitCode = wrong.length ? 1 : 0;
