// Widgets: fetch shortly before they are seen, one after the other so that none repeats another's products, offer a
// retry when the fetch fails, collapse empty ones out of sight.
const NEAR = "500px 0px";
const BUSY = '.widget-skeleton.htmx-request, .widget-skeleton[hx-trigger^="load"][data-widget-state="loading"]';
const waiting = [];

const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    waiting.push(target);
  }
  fetchNext();
}, { rootMargin: NEAR });

function fetchNext() {
  while (waiting.length && !document.querySelector(BUSY)) {
    waiting.shift().dispatchEvent(new CustomEvent("near"));
  }
}

// Where another list of the page stands already, say what it shows.
function tellShown({ target, detail }) {
  const own = target.closest?.(".widget");
  if (!own || !target.matches(".widget-skeleton, .widget-report")) return;
  for (const card of document.querySelectorAll(".widget [data-item-id]")) {
    if (!own.contains(card)) detail.parameters.append("shown", card.dataset.itemId);
  }
}

// An empty widget keeps its height while it is on screen or above it, so that nothing jumps; once below the screen it goes.
const gone = new IntersectionObserver((entries) => {
  for (const { target } of entries) {
    if (target.getBoundingClientRect().top < innerHeight) continue; // where it is now: the entry may be a frame old
    gone.unobserve(target);
    target.classList.add("widget-collapsed");
  }
});

function watch(root) {
  for (const widget of root.querySelectorAll(".widget[data-widget-state]")) {
    if (widget.dataset.widgetState === "loading") near.observe(widget);
    if (widget.classList.contains("widget-hidden")) gone.observe(widget);
  }
}

function fail(event) {
  const widget = event.target.closest?.(".widget-skeleton");
  if (!widget) return;
  widget.classList.add("widget-failed");
  widget.setAttribute("aria-busy", "false");
  widget.dataset.widgetState = "failed";
  fetchNext();
}

function retry(event) {
  const widget = event.target.closest?.("[data-widget-retry]")?.closest(".widget-skeleton");
  if (!widget) return;
  widget.classList.remove("widget-failed");
  widget.setAttribute("aria-busy", "true");
  widget.dataset.widgetState = "loading";
  widget.dispatchEvent(new CustomEvent("retry"));
}

for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.addEventListener(name, fail);
document.addEventListener("click", retry);
document.addEventListener("htmx:configRequest", tellShown);
document.addEventListener("htmx:afterSettle", fetchNext);
document.addEventListener("htmx:load", ({ detail }) => watch(detail.elt.parentElement ?? document));
watch(document);
