"use strict";
(() => {
  const key = (row, i) => {
    const cell = row.cells[i];
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  };
  const order = (a, b, i, sign) => {
    const x = key(a, i), y = key(b, i);
    if (x !== null && y !== null) return sign * (x - y);
    if (x !== null) return -1;
    if (y !== null) return 1;
    return sign * a.cells[i].textContent.localeCompare(b.cells[i].textContent, "en", { numeric: true });
  };
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const each of heads) each.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const body = table.tBodies[0];
        body.append(...[...body.rows].sort((a, b) => order(a, b, i, up ? 1 : -1)));
      });
      head.replaceChildren(button);
    });
  }
  const themes = ["auto", "light", "dark"];
  const button = document.createElement("button");
  button.type = "button";
  button.className = "theme";
  let at = 0;
  const show = () => {
    button.textContent = `Colours: ${themes[at]}`;
    if (at) document.documentElement.dataset.theme = themes[at];
    else delete document.documentElement.dataset.theme;
  };
  button.addEventListener("click", () => { at = (at + 1) % themes.length; show(); });
  show();
  document.querySelector("header").append(button);
})();
