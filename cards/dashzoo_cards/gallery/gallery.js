(() => {
  const form = document.querySelector("form.filter");
  const copies = document.querySelectorAll("button.copy");
  for (const button of copies) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = button.closest(".snippet").querySelector("code").textContent;
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        const area = document.createElement("textarea");
        area.value = text;
        document.body.append(area);
        area.select();
        document.execCommand("copy");
        area.remove();
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
  if (!form) return;
  const list = document.querySelector(".cards");
  const models = [...list.children];
  const count = document.querySelector(".found output");
  const clear = document.querySelector(".found button");
  const nothing = document.querySelector(".nothing");
  const fields = [...form.elements].filter((field) => field.name);
  const number = (model, name) => parseFloat(model.dataset[name]);
  const orders = {
    name: (a, b) => models.indexOf(a) - models.indexOf(b),
    gain: (a, b) => number(b, "gain") - number(a, "gain"),
    parameters: (a, b) => number(a, "parameters") - number(b, "parameters"),
    latency: (a, b) => (number(a, "latency") || Infinity) - (number(b, "latency") || Infinity) || 0,
  };
  const value = (name) => form.elements[name].value.trim();
  const fits = (model) =>
    value("q").toLowerCase().split(/\s+/).every((word) => model.dataset.text.includes(word)) &&
    (!value("kind") || model.dataset.kind === value("kind")) &&
    (!value("samples") || model.dataset.dims === value("samples")) &&
    (!value("parameters") || number(model, "parameters") <= Number(value("parameters"))) &&
    (!value("score") || number(model, "score") >= Number(value("score")));

  const show = () => {
    const shown = models.filter((model) => {
      model.hidden = !fits(model);
      return !model.hidden;
    });
    const order = orders[value("sort")] || orders.name;
    list.append(...[...models].sort((a, b) => order(a, b) || orders.name(a, b)));
    const all = shown.length === models.length;
    count.textContent = all ? `${models.length} models` : `${shown.length} of ${models.length} models`;
    nothing.hidden = shown.length > 0;
    clear.hidden = !fields.some((field) => field.value !== standing.get(field));
  };
  const standing = new Map(fields.map((field) => [field, field.value]));
  const read = () => {
    const said = new URLSearchParams(location.hash.slice(1));
    for (const field of fields) {
      const told = said.get(field.name);
      field.value = told ?? standing.get(field);
      // A choice that is not there: as if nothing was said.
      if (field.selectedIndex === -1) field.value = standing.get(field);
    }
    show();
  };
  const write = () => {
    const said = new URLSearchParams();
    for (const field of fields) {
      if (field.value !== standing.get(field)) said.set(field.name, field.value);
    }
    const hash = said.toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
    show();
  };
  form.addEventListener("input", write);
  form.addEventListener("submit", (event) => event.preventDefault());
  clear.addEventListener("click", () => {
    for (const field of fields) field.value = standing.get(field);
    write();
    form.elements.q.focus();
  });
  addEventListener("hashchange", read);
  form.hidden = false;
  read();
})();
