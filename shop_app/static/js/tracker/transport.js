export const { consent, endpoint } = document.getElementById("tracker").dataset;
const body = (events) => `{"sent_at":${Date.now()},"events":[${[...events.values()]}]}`;

// Send; gives the keys answered for and the ms to wait
export async function post(events) {
  const keys = [...events.keys()];
  try {
    const response = await fetch(endpoint, { method: "POST", body: body(events), keepalive: true, signal: AbortSignal.timeout(2e4) });
    const { status, headers } = response;
    const { results } = status == 202 || status == 429 ? await response.json() : {};
    const isFinal = results || status == 400 || status == 413;
    return [keys.filter((_, i) => isFinal && results?.[i].status != "deferred"), headers.get("Retry-After") * 1e3];
  } catch {
    return [[]];
  }
}

// Send while leaving; nobody hears the answer
export const beacon = (events) => navigator.sendBeacon(endpoint, body(events));
