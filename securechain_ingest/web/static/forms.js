// Lets one box choose all boxes of its form.
for (const all of document.querySelectorAll("[data-all]")) {
  all.hidden = false;
  const box = all.querySelector("input");
  const boxes = () => document.querySelectorAll(`input[name="${all.dataset.all}"]`);
  box.addEventListener("change", () => {
    for (const each of boxes()) each.checked = box.checked;
  });
}
