(() => {
  const by = (id) => document.getElementById(id);
  const words = by("filter-words"), verdict = by("filter-verdict"), law = by("filter-law");
  const items = [...document.querySelectorAll("[data-find]")];
  const groups = [...document.querySelectorAll("details.law")];
  const total = items.filter((item) => item.matches(".check")).length;
  const apply = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const active = wanted.length > 0 || verdict.value !== "" || law.value !== "";
    let shown = 0;
    for (const item of items) {
      const fits = wanted.every((word) => item.dataset.find.includes(word))
        && (verdict.value === "" || item.dataset.verdict === verdict.value)
        && (law.value === "" || item.dataset.law === law.value);
      item.hidden = !fits;
      if (fits && item.matches(".check")) shown += 1;
    }
    for (const group of groups) {
      const left = group.querySelector(".check:not([hidden])") !== null;
      group.hidden = !left;
      group.open = active && left;
    }
    by("filter-count").textContent = active ? `${shown} of ${total} checks` : "";
  };
  for (const field of [words, verdict, law]) field.addEventListener("input", apply);
  by("filter").hidden = false;
  apply();
})();
