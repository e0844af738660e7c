
// Published claims: a filter by words and verdict, which only this script can offer.
const claims = document.getElementById("claims");
if (claims) {
  const rows = [...claims.querySelectorAll("tr[data-verdict]")];
  const verdicts = [...new Set(rows.map((row) => row.dataset.verdict))].sort();
  const form = document.createElement("form");
  form.className = "filters";
  form.setAttribute("role", "search");
  const field = (text, control) => {
    const label = document.createElement("label");
    label.append(`${text} `, control);
    form.append(label);
    return control;
  };
  const words = field("Filter by words", Object.assign(document.createElement("input"), { type: "search" }));
  const verdict = field("Verdict", document.createElement("select"));
  verdict.append(new Option("all", ""), ...verdicts.map((name) => new Option(name, name)));
  const count = document.createElement("output");
  form.append(count);
  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const active = wanted.length > 0 || verdict.value !== "";
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word)) || (verdict.value !== "" && row.dataset.verdict !== verdict.value);
      shown += row.hidden ? 0 : 1;
    }
    for (const table of claims.querySelectorAll("table")) {
      table.closest(".scroll").hidden = active && !table.querySelector("tr[data-verdict]:not([hidden])");
    }
    if (active) for (const part of claims.querySelectorAll("details")) part.open = part.querySelector("tr[data-verdict]:not([hidden])") !== null;
    count.textContent = active ? `${shown} of ${rows.length} lines` : "";
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  claims.before(form);
}
