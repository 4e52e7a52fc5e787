/* Sorts and filters tables of the class radbook-sortable: every heading becomes a button with a box below it. */
"use strict";

function makeSortable(table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];
  const boxes = [];
  const order = new Intl.Collator(undefined, { numeric: true }).compare;
  const status = document.createElement("p");
  status.setAttribute("role", "status");

  function filter() {
    const wanted = boxes.map((box) => box.value.trim().toLowerCase());
    const fits = (row) => wanted.every((words, i) => row.cells[i].textContent.toLowerCase().includes(words));
    rows.forEach((row) => { row.hidden = !fits(row); });
    status.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  }

  function sort(heading, column) {
    const up = heading.getAttribute("aria-sort") !== "ascending";
    headings.forEach((other) => other.setAttribute("aria-sort", "none"));
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const text = (row) => row.cells[column].textContent;
    rows.sort((a, b) => (up ? 1 : -1) * order(text(a), text(b)));
    body.append(...rows);
  }

  const second = table.tHead.insertRow();
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    const box = document.createElement("input");
    button.type = "button";
    button.textContent = heading.textContent;
    button.addEventListener("click", () => sort(heading, column));
    heading.replaceChildren(button);
    heading.setAttribute("aria-sort", "none");
    box.type = "search";
    box.setAttribute("aria-label", `filter by ${button.textContent}`);
    box.addEventListener("input", filter);
    boxes.push(box);
    second.insertCell().append(box);
  });
  table.parentElement.before(status);
  filter();
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("table.radbook-sortable").forEach(makeSortable);
});
