/** Where a card stands; nothing outside a widget. */
export function place(card) {
  const { surface, widget, requestId } = card.closest("[data-widget]")?.dataset ?? {};
  const { itemId, rank, recommended } = card.dataset;
  if (surface && widget && rank > 0)
    return { item_id: itemId, surface, widget, rank: +rank, request_id: requestId, recommended: recommended == "true" };
}

/** The product the page is about. */
export function page() {
  const { pageItem, surface } = document.querySelector("[data-page-item]")?.dataset ?? {};
  return pageItem && { item_id: pageItem, surface };
}
