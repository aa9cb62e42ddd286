// Arrow buttons of the carousels: the list scrolls by itself with touch, wheel and Tab; the arrows are for the mouse.
const arrows = (section) => section.querySelectorAll("[data-carousel]");

function update(section) {
  const list = section.querySelector(".carousel");
  const room = list.scrollWidth - list.clientWidth;
  for (const arrow of arrows(section)) {
    const atEnd = arrow.dataset.carousel === "next" ? list.scrollLeft >= room - 8 : list.scrollLeft <= 8;
    arrow.setAttribute("aria-disabled", String(atEnd));
    arrow.hidden = room <= 8;
  }
}

function click(event) {
  const arrow = event.target.closest?.("[data-carousel]");
  if (!arrow) return;
  const section = arrow.closest("section");
  const list = section.querySelector(".carousel");
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const way = arrow.dataset.carousel === "next" ? 1 : -1;
  list.scrollBy({ left: way * list.clientWidth * 0.9, behavior: still ? "instant" : "smooth" });
}

function start(root) {
  for (const list of root.querySelectorAll(".widget:not(.widget-skeleton) .carousel")) {
    const section = list.closest("section");
    list.addEventListener("scroll", () => requestAnimationFrame(() => update(section)), { passive: true });
    update(section);
  }
}

document.addEventListener("click", click);
document.addEventListener("htmx:load", ({ detail }) => start(detail.elt.parentElement ?? document));
