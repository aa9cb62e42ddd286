// Where a card stands
export function place(card) {
  const { surface, widget, requestId, experiment, abBucket } = card.closest("[data-widget]")?.dataset ?? {};
  const { itemId, rank, recommended } = card.dataset;
  if (surface && widget && rank > 0)
    return { item_id: itemId, surface, widget, rank: +rank, request_id: requestId, experiment, ab_bucket: abBucket, recommended: recommended == "true" };
}

// The product of the page
export function page() {
  const { pageItem, surface } = document.querySelector("[data-page-item]")?.dataset ?? {};
  return pageItem && { item_id: pageItem, surface };
}
