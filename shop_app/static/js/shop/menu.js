// A <details> menu closes on Escape, on a click elsewhere, and when the focus leaves it.
function close(except) {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) if (!menu.contains(except)) menu.open = false;
}

document.addEventListener("click", ({ target }) => close(target));
document.addEventListener("focusin", ({ target }) => close(target));
document.addEventListener("keydown", ({ key }) => {
  const menu = document.querySelector("details[data-menu][open]");
  if (key !== "Escape" || !menu) return;
  close(null);
  menu.querySelector("summary").focus();
});
