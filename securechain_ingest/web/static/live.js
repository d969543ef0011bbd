// Puts the newest figures in place of the old ones, unless somebody is at work in them.
const figures = document.querySelector("[data-live]");
const source = new EventSource(figures.dataset.live);
source.onmessage = (event) => {
  if (!figures.contains(document.activeElement)) figures.innerHTML = event.data;
};
