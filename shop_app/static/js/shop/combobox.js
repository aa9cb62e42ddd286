// The search box as a combobox (WAI-ARIA 1.2 pattern): the list comes from the server, the keys are handled here.
const input = document.querySelector("[data-combobox] input[type=search]");
const box = document.getElementById("suggestions");
let active = -1;

const options = () => [...box.querySelectorAll("[role=option]")];

function show(isOpen) {
  box.hidden = !isOpen;
  input.setAttribute("aria-expanded", String(isOpen));
  if (!isOpen) choose(-1);
}

function choose(index) {
  const all = options();
  active = index >= all.length ? -1 : index < -1 ? all.length - 1 : index; // past either end lies the field itself
  all.forEach((option, place) => option.setAttribute("aria-selected", String(place === active)));
  if (active < 0) return input.removeAttribute("aria-activedescendant");
  input.setAttribute("aria-activedescendant", all[active].id);
  all[active].scrollIntoView({ block: "nearest" });
}

function press(event) {
  if (event.key === "Escape" && !box.hidden) {
    event.preventDefault();
    show(false);
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (!options().length) return;
    event.preventDefault();
    show(true);
    choose(active + (event.key === "ArrowDown" ? 1 : -1));
  } else if (event.key === "Enter" && active >= 0) {
    event.preventDefault();
    options()[active].click();
  }
}

if (input && box) {
  const names = { role: "combobox", "aria-autocomplete": "list", "aria-controls": "suggestions-list", "aria-expanded": "false" };
  for (const [name, value] of Object.entries(names)) input.setAttribute(name, value);
  input.addEventListener("keydown", press);
  box.addEventListener("htmx:afterSwap", () => show(options().length > 0 && document.activeElement === input));
  input.addEventListener("focus", () => options().length && show(true));
  document.addEventListener("click", (event) => event.target.closest(".site-search") || show(false));
  input.addEventListener("blur", () => setTimeout(() => box.contains(document.activeElement) || show(false), 150));
}
