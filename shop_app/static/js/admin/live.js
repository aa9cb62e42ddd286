// A page that keeps itself up to date: only what changed is replaced, nothing that is open or being read with the keyboard.

const root = document.querySelector("[data-refresh]");
const button = document.querySelector("[data-pause]");
let isPaused = false;

const isBusy = (part) => part.contains(document.activeElement) || part.querySelector("details[open]");

const refresh = async () => {
  if (isPaused || document.hidden) return;
  const answer = await fetch(root.dataset.refresh, { headers: { "X-Requested-With": "fetch" }, redirect: "error" }).catch(() => null);
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of fresh.querySelectorAll("[data-live]")) {
    const shown = root.querySelector(`[data-live="${part.dataset.live}"]`);
    if (shown && !isPaused && shown.innerHTML !== part.innerHTML && !isBusy(shown)) shown.replaceChildren(...part.childNodes);
  }
};

if (root && button) {
  button.hidden = false;
  button.addEventListener("click", () => {
    isPaused = !isPaused;
    button.setAttribute("aria-pressed", String(isPaused));
    button.textContent = isPaused ? "Go on" : "Pause";
    refresh();
  });
  setInterval(refresh, 1000 * Number(root.dataset.every));
}
