// Listening page: a table of clips with the activations of chosen filters, a player per row, and notes per filter.
"use strict";

(async () => {
  const page = window.listening;
  const byId = (id) => document.getElementById(id);
  // Some browsers have one storage for all files: pages of the same study in other results have other filters.
  const storageKey = `listening ${page.study} ${location.pathname}`;
  const notes = readNotes();
  const { jQuery } = await window.dataTables;
  let table = null;

  // DataTables looks every header up among all others after each sort, which takes seconds with 562 columns.
  jQuery.fn.dataTable.ext.renderer.header.sparse = (settings, cell) => {
    if (!cell.hasClass("dt-orderable-none")) cell.addClass("dt-orderable-asc dt-orderable-desc");
  };

  function markOrder() {
    for (const header of document.querySelectorAll("#clips thead th[aria-sort]")) {
      header.removeAttribute("aria-sort");
      header.classList.remove("dt-ordering-asc", "dt-ordering-desc");
    }
    for (const [column, direction] of table.order().filter((pair) => pair[1])) {
      const header = table.column(column).header();
      header.setAttribute("aria-sort", direction === "asc" ? "ascending" : "descending");
      header.classList.add(`dt-ordering-${direction}`);
    }
  }

  function readNotes() {
    try {
      return JSON.parse(localStorage.getItem(storageKey)) || {};
    } catch {
      return {}; // a browser that keeps nothing for files
    }
  }

  function keepNotes() {
    try {
      localStorage.setItem(storageKey, JSON.stringify(notes));
    } catch {
      // they can still be downloaded
    }
    const written = Object.values(notes).filter((note) => note.trim()).length;
    byId("count").textContent = `${written} ${written === 1 ? "note" : "notes"}`;
  }

  function chosenSet() {
    return page.data[document.querySelector("input[name=dataset]:checked").value];
  }

  // Return the numbers in a text such as "3, 17, 20-24", each once and in their order; throw on anything else.
  function readFilters(text) {
    const filters = new Set();
    for (const part of text.split(",").map((word) => word.trim()).filter(Boolean)) {
      const match = /^(\d+)(?:\s*-\s*(\d+))?$/.exec(part);
      const first = match ? Number(match[1]) : NaN;
      const last = match && match[2] !== undefined ? Number(match[2]) : first;
      if (!(first <= last && last < page.filters)) {
        throw new Error(`"${part}" is no filter: give numbers from 0 to ${page.filters - 1}`);
      }
      for (let number = first; number <= last; number++) filters.add(number);
    }
    return [...filters];
  }

  function addTags() {
    const chosen = new Set([...document.querySelectorAll("#tags input:checked")].map((input) => input.value));
    byId("tags").replaceChildren(
      ...chosenSet().heads.map((head, number) => {
        const set = document.createElement("fieldset");
        const legend = set.appendChild(document.createElement("legend"));
        legend.textContent = `Tags by the classifier of ${head.label}`;
        const list = set.appendChild(document.createElement("div"));
        list.className = "tags";
        head.classes.forEach((name, place) => {
          const label = list.appendChild(document.createElement("label"));
          const input = label.appendChild(document.createElement("input"));
          input.type = "checkbox";
          input.value = `${number} ${place}`;
          input.checked = chosen.has(input.value);
          label.append(` ${name}`);
        });
        return set;
      }),
    );
  }

  function player(clip) {
    if (!clip.audio) return "not included";
    const audio = document.createElement("audio");
    audio.controls = true;
    audio.preload = "none";
    audio.src = clip.audio;
    return audio.outerHTML;
  }

  const escapeText = (text) => {
    const node = document.createElement("span");
    node.textContent = text;
    return node.innerHTML;
  };

  // Columns state their types, which DataTables would look up in all rows, and read their value from the row's place in the data, so that no value is copied.
  function numberColumn(title, values, place) {
    const read = (row, type) => (type === "display" ? values[row][place].toPrecision(4) : values[row][place]);
    // a click sorts the largest to the top, which is what one listens to
    const orderSequence = ["desc", "asc"];
    return { title: escapeText(title), data: null, render: read, type: "num", searchable: false, orderSequence, className: "dt-right" };
  }

  function textColumn(title, read) {
    const render = (row, type) => (type === "display" ? escapeText(read(row)) : read(row));
    return { title: escapeText(title), data: null, render, type: "string" };
  }

  function buildColumns(set, filters) {
    const tags = [...document.querySelectorAll("#tags input:checked")].map((input) => input.value.split(" ").map(Number));
    return [
      ...filters.map((filter) => numberColumn(String(filter), set.activations, filter)),
      { title: "idx", data: null, render: (row) => row, type: "num", searchable: false, className: "dt-right" },
      {
        title: "audio",
        data: null,
        render: (row, type) => (type === "display" ? player(set.clips[row]) : ""),
        type: "string",
        searchable: false,
        orderable: false,
        className: "dt-orderable-none",
      },
      textColumn("clip", (row) => set.clips[row].clip),
      textColumn("group", (row) => set.clips[row].group),
      { title: "segment", data: null, render: (row) => set.clips[row].segment, type: "num", searchable: false, className: "dt-right" },
      { ...textColumn("labels", (row) => set.clips[row].labels.map((label) => set.classes[label]).join(", ")), className: "labels" },
      ...tags.map(([head, place]) =>
        numberColumn(`${set.heads[head].classes[place]} (${set.heads[head].label})`, set.heads[head].scores, place),
      ),
    ];
  }

  function addNotes(filters) {
    byId("notes").replaceChildren(
      ...filters.map((filter) => {
        const label = document.createElement("label");
        label.textContent = `Filter ${filter}`;
        const area = label.appendChild(document.createElement("textarea"));
        area.rows = 2;
        area.dataset.filter = filter;
        area.value = notes[filter] || "";
        area.addEventListener("input", () => {
          notes[filter] = area.value;
          keepNotes();
        });
        return label;
      }),
    );
  }

  function show() {
    let filters;
    try {
      filters = readFilters(byId("features").value);
    } catch (error) {
      byId("problem").textContent = error.message;
      return;
    }
    byId("problem").textContent = "";
    const set = chosenSet();
    const started = performance.now();
    if (table) {
      table.destroy();
      byId("clips").replaceChildren();
    }
    table = page.table = jQuery("#clips").DataTable({
      data: set.clips.map((_, row) => row),
      columns: buildColumns(set, filters),
      order: filters.length ? [[0, "desc"]] : [],
      pageLength: 10,
      autoWidth: false,
      deferRender: true,
      orderClasses: false,
      renderer: { header: "sparse" },
    });
    table.off("stateSaveParams"); // after each draw the extension Select would look for selected ones among all cells
    table.on("order", markOrder);
    markOrder();
    addNotes(filters);
    const seconds = ((performance.now() - started) / 1000).toFixed(2);
    byId("state").textContent =
      `${set.clips.length.toLocaleString("en")} rows of ${set.label}, ${filters.length} of ${page.filters} filters (${seconds} s)`;
  }

  // One player at a time.
  document.addEventListener(
    "play",
    (event) => {
      for (const audio of document.querySelectorAll("audio")) if (audio !== event.target) audio.pause();
    },
    true,
  );

  function csvCell(text) {
    const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text; // a spreadsheet would compute it
    return /[",\r\n;\t]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }

  byId("download").addEventListener("click", () => {
    const rows = Object.keys(notes)
      .filter((filter) => notes[filter].trim())
      .sort((one, other) => one - other)
      .map((filter) => [page.study, filter, notes[filter]].map(String).map(csvCell).join(","));
    const blob = new Blob([["study,filter,note", ...rows, ""].join("\n")], { type: "text/csv" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${page.study}_notes.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

  byId("choice").addEventListener("submit", (event) => {
    event.preventDefault();
    show();
  });
  byId("sets").addEventListener("change", addTags);
  addTags();
  keepNotes();
  show();
})().catch((error) => {
  document.getElementById("state").textContent = `The page could not be built: ${error}`;
});
