// Events wait here until the server answers, one storage entry each: tabs share them.
import { beacon, consent, post } from "./transport.js";

const PREFIX = "event:";
const own = new Map();
let timer, busy;
let quiet = 0, failures = 0;

const attempt = (work) => {
  try {
    return work();
  } catch {} // no storage
};
const stored = () => attempt(() => Object.keys(localStorage))?.filter((key) => key.startsWith(PREFIX)) ?? [];
const forget = (key) => {
  own.delete(key);
  attempt(() => localStorage.removeItem(key));
};
const later = (wait) => {
  clearTimeout(timer);
  timer = setTimeout(flush, Math.max(wait, quiet - Date.now()));
};

// What fits into one beacon
function batch(keys = stored()) {
  const all = new Map(own);
  keys.forEach((key) => all.has(key) || all.set(key, localStorage[key]));
  let room = 48e3;
  for (const [key, text] of all) if (!text || (room -= new Blob([text]).size) < 0) all.delete(key);
  return all;
}

async function flush() {
  timer = 0;
  const events = batch();
  if (busy || !events.size) return;
  busy = true;
  const [answered, wait] = await post(events);
  busy = false;
  answered.forEach(forget);
  failures = answered.length ? 0 : failures + 1;
  quiet = Date.now() + (wait || (failures && Math.random() * Math.min(1e3 * 2 ** failures, 3e5)));
  if (batch().size) later(0);
}

// Keep an event until the server has answered for it; ids sort by time
export function add(event) {
  const id = [Date.now(), ...crypto.getRandomValues(new Uint32Array(3))].join("-");
  const text = JSON.stringify({ id, created_at: Date.now(), ...event });
  own.set(PREFIX + id, text);
  attempt(() => (localStorage[PREFIX + id] = text));
  if (own.size > 19 || !timer) later(own.size > 19 ? 0 : 2e3);
}

// Begin if the person agreed; if not, delete what is stored
export function start() {
  if (consent != "analytics") return stored().forEach(forget);
  addEventListener("visibilitychange", () => document.hidden && own.size && beacon(batch([])));
  addEventListener("online", () => later((quiet = 0)));
  later(2e3);
  return true;
}
