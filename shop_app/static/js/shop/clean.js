// A form marked `data-clean` leaves its empty fields out of the address.
document.addEventListener("htmx:configRequest", ({ target, detail }) => {
  if (!target.matches("form[data-clean]")) return;
  for (const [name, value] of [...detail.formData]) if (value === "") detail.formData.delete(name);
});
