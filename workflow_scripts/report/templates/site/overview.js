
// Leaderboard: pages, sorting, filters, copy and csv of the table that stands in the page.
(async () => {
  const board = document.getElementById("leaderboard");
  if (!board) return;
  const PAGE = 25; // rows
  const { default: DataTable } = await window.dataTables;
  const headers = [...board.tHead.rows[0].cells];
  const numeric = headers.flatMap((header, place) => (header.matches(".score, .rank") ? [place] : []));
  const scores = headers.flatMap((header, place) => (header.matches(".score") ? [place] : []));
  // Texts have no tabs: these separate columns in what is copied, and a formula behind one would be computed.
  const exportText = (cell) => (cell.dataset.csv ?? cell.textContent).trim().replace(/\s+/g, " ");
  const labels = headers.map(exportText);

  // Missing numbers stay last, whichever way the others are sorted.
  const compare = (sign) => (one, other) =>
    one === null || other === null ? (one === null) - (other === null) : sign * (one - other);
  DataTable.ext.type.order["score-pre"] = (value) => (value === "" ? null : Number(value));
  DataTable.ext.type.order["score-asc"] = compare(1);
  DataTable.ext.type.order["score-desc"] = compare(-1);

  // A number becomes three columns, mean and ends of the interval; texts that a spreadsheet would compute are marked.
  const exported = {
    columns: ":visible",
    format: {
      header: (_, place) => (scores.includes(place) ? ["", " low", " high"].map((end) => labels[place] + end).join("\t") : labels[place]),
      body: (_, row, place, cell) =>
        cell.matches(".number")
          ? [cell.dataset.order, ...(cell.dataset.ends || " ").split(" ")].join("\t")
          : exportText(cell),
    },
    customizeData(data) {
      data.header = data.header.flatMap((text) => text.split("\t"));
      data.headerStructure = [data.header.map((title) => ({ title, colspan: 1, rowspan: 1 }))];
      data.body = data.body.map((row) => row.flatMap((text) => text.split("\t")));
    },
  };
  const button = (kind, text) => ({ extend: kind, text, header: true, footer: false, title: null, filename: "leaderboard", exportOptions: exported });
  const frame = board.parentElement;
  const table = new DataTable(board, {
    columnDefs: [{ targets: numeric, type: "score", orderSequence: ["desc", "asc", ""] }],
    order: [],
    pageLength: PAGE,
    autoWidth: false,
    layout: { topStart: { buttons: [button("copyHtml5", "Copy"), button("csvHtml5", "csv")] } },
  });

  // The frame that scrolls is now that of the table alone.
  for (const name of ["tabindex", "role", "aria-label"]) frame.removeAttribute(name);
  frame.classList.replace("scroll", "enhanced");
  const inner = board.parentElement;
  inner.tabIndex = 0;
  inner.setAttribute("role", "region");
  inner.setAttribute("aria-label", "Leaderboard");

  // Paper has no pages to turn: it gets all rows.
  window.addEventListener("beforeprint", () => table.page.len(-1).draw(false));
  window.addEventListener("afterprint", () => table.page.len(PAGE).draw(false));

  const form = document.getElementById("board-filters");
  const chosen = (name) => (form.elements[name] ? form.elements[name].value : "");
  const shows = (header) =>
    (!chosen("dataset") || header.dataset.dataset === chosen("dataset")) &&
    (!chosen("source") || header.dataset.source.split(", ").includes(chosen("source")));
  table.search.fixed("choice", (_, data, row) => {
    const node = table.row(row).node();
    const fits = ["encoder", "scenario", "fraction"].every((name) => !chosen(name) || node.dataset[name] === chosen(name));
    const inSystem = !chosen("system") || node.dataset.system.split(" ").includes(chosen("system"));
    const narrowed = chosen("dataset") || chosen("source");
    return fits && inSystem && (!narrowed || scores.some((place) => shows(headers[place]) && node.cells.length && table.cell(row, place).node().dataset.order !== ""));
  });
  const filter = () => {
    for (const place of scores) table.column(place).visible(shows(headers[place]), false);
    table.draw();
  };
  form.addEventListener("change", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
})();
