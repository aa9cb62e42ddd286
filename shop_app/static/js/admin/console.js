// Comforts of the console; every page works without them.

for (const box of document.querySelectorAll("[data-tick-all]")) {
  const others = () => box.form.querySelectorAll(`input[name="${box.dataset.tickAll}"]`);
  box.addEventListener("change", () => others().forEach((one) => { one.checked = box.checked; }));
}

for (const button of document.querySelectorAll("[data-print]")) button.addEventListener("click", () => print());

// On a small screen the menu starts closed, on a large one it stays open.
const fold = document.querySelector(".nav-fold");
const wide = matchMedia("(min-width: 62rem)");
const settle = () => { fold.open = wide.matches; };
wide.addEventListener("change", settle);
settle();
