// Seen: half on screen for one unbroken second of a tab in use; once per answer and item.
const reports = new WeakMap();
const shown = new Set();
const timers = new Map();
const counted = new Set();

const check = (card) => {
  const ready = shown.has(card) && !document.hidden && document.hasFocus();
  if (ready && timers.has(card)) return;
  clearTimeout(timers.get(card));
  timers.delete(card);
  if (ready) timers.set(card, setTimeout(reports.get(card), 1e3));
};

const observer = new IntersectionObserver(
  (entries) =>
    entries.forEach(({ target, intersectionRatio }) => {
      shown[intersectionRatio < 0.5 ? "delete" : "add"](target);
      check(target);
    }),
  { threshold: 0.5 },
);
for (const kind of ["visibilitychange", "focus", "blur"]) addEventListener(kind, () => shown.forEach(check));

// Call `report` once, when the card was seen
export function watch(card, { request_id, surface, widget, item_id }, report) {
  const key = [request_id || surface + widget, item_id].join();
  if (reports.has(card)) return;
  reports.set(card, () => {
    observer.unobserve(card);
    shown.delete(card);
    if (card.isConnected && !counted.has(key)) report(counted.add(key));
  });
  observer.observe(card);
}
