// What the browser keeps for the next visit, where it keeps anything: storage may be blocked.

export function recall(key) {
  try {
    return localStorage.getItem(`nutshell.${key}`);
  } catch {
    return null;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(`nutshell.${key}`, value);
  } catch {
    // Then it holds until the page is left.
  }
}
