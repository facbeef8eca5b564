// Tabs of the same browser tell each other what changed. Where a browser has no channels, each finds out by asking.

const channel = "BroadcastChannel" in window ? new BroadcastChannel("nutshell") : null;

export function tellTabs(kind, detail = {}) {
  channel?.postMessage({ kind, ...detail });
}

export function hearTabs(listener) {
  channel?.addEventListener("message", (event) => listener(event.data));
}
