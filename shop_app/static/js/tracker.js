// Counts what is seen and clicked. The page says what and where; the server who and when.
import { page, place } from "./tracker/context.js";
import { add, start } from "./tracker/queue.js";
import { watch } from "./tracker/viewability.js";

const observe = (root) =>
  root.querySelectorAll("[data-item-id]").forEach((card) => {
    const where = place(card);
    if (where) watch(card, where, () => add({ type: "view", kind: "impression", ...where }));
  });

const clicked = ({ button, target }) => {
  const link = target.closest("a[href]");
  const card = link?.closest("[data-item-id]");
  const where = card && place(card);
  if (where && button < 2) add({ type: "click", ...where, href: link.pathname, text: link.textContent.trim().slice(0, 99) });
};

if (start()) {
  if (page()) add({ type: "view", ...page(), referrer: document.referrer });
  observe(document);
  addEventListener("htmx:load", ({ detail }) => observe(detail.elt));
  for (const kind of ["click", "auxclick"]) addEventListener(kind, clicked, true);
}
