// What report.html does beyond being read: theme, sorting, filtering, text export. SPDX-License-Identifier: MIT
"use strict";
(function () {
  const root = document.documentElement;
  root.classList.add("js");

  const systemDark = window.matchMedia("(prefers-color-scheme: dark)");
  const toggle = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);
  const sayTheme = () => { toggle.textContent = isDark() ? "Light" : "Dark"; };
  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    sayTheme();
  });
  systemDark.addEventListener("change", sayTheme);
  sayTheme();

  const keyOf = (cell) => {
    const text = cell.dataset.key !== undefined ? cell.dataset.key : cell.textContent.trim();
    if (text === "" || text === "–") return { number: null, text: "" };
    const number = Number(text.replace(/,/g, ""));
    return { number: Number.isNaN(number) ? null : number, text };
  };
  const compare = (a, b) => {
    if (a.text === "" || b.text === "") return (a.text === "") - (b.text === ""); // what is missing comes last
    if (a.number !== null && b.number !== null) return a.number - b.number;
    return a.text.localeCompare(b.text);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.textContent = "";
      head.appendChild(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const body = table.tBodies[0];
        const rows = Array.from(body.rows).map((row) => ({ row, key: keyOf(row.cells[column]) }));
        rows.sort((a, b) => {
          if (a.key.text === "" || b.key.text === "") return compare(a.key, b.key);
          return down ? compare(b.key, a.key) : compare(a.key, b.key);
        });
        body.append(...rows.map((one) => one.row));
      });
    });
  }

  const ranking = document.getElementById("ranking-table");
  if (ranking) {
    const filter = document.getElementById("filter");
    const shown = document.getElementById("shown");
    const rows = Array.from(ranking.tBodies[0].rows);
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const apply = () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      rows.forEach((row, i) => {
        row.hidden = !words.every((word) => texts[i].includes(word));
        count += row.hidden ? 0 : 1;
      });
      shown.textContent = count + " of " + rows.length + " cells";
    };
    filter.addEventListener("input", apply);
    apply();
    document.getElementById("export").addEventListener("click", () => {
      const visible = [ranking.tHead.rows[0], ...Array.from(ranking.tBodies[0].rows).filter((row) => !row.hidden)];
      const cells = visible.map((row) => Array.from(row.cells).map((cell) => cell.textContent.trim()));
      const widths = cells[0].map((_, i) => Math.max(...cells.map((row) => row[i].length)));
      const lines = cells.map((row) => row.map((text, i) => text.padEnd(widths[i])).join("  ").trimEnd());
      const area = document.getElementById("exported");
      area.textContent = lines.join("\n");
      area.hidden = false;
      const range = document.createRange();
      range.selectNodeContents(area);
      const selection = window.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      area.focus();
    });
  }
})();
