// Puts the newest figures in place of the old ones, and keeps what the reader has opened, selected or focused.
const region = document.querySelector("[data-live]");
const told = document.querySelector("[data-live-state]");

const isAtWork = () => {
  const active = document.activeElement;
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && region.contains(selection.anchorNode)) return true;
  return region.contains(active) && (!active.id || active.matches("input:not([type=hidden]), select, textarea"));
};

const put = (text) => {
  const open = [...region.querySelectorAll("details[open][id]")].map((each) => each.id);
  const focused = region.contains(document.activeElement) ? document.activeElement.id : "";
  const scrolled = [...region.querySelectorAll(".wide[id]")].map((each) => [each.id, each.scrollLeft, each.scrollTop]);
  region.innerHTML = text;
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  for (const [id, left, top] of scrolled) document.getElementById(id)?.scrollTo(left, top);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
};

const say = (text) => {
  if (told && told.textContent !== text) told.textContent = text;
};

const source = new EventSource(region.dataset.live);
source.onopen = () => say("Live");
source.onerror = () => say("Not connected");
source.onmessage = (event) => {
  say("Live");
  if (!isAtWork()) put(event.data);
};
source.addEventListener("over", () => {
  source.close();
  say("Ended");
});
