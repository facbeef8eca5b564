// Light or dark, before anything is painted: a plain script in the head, not a module. As the system has it until
// someone switches; the choice is kept where the browser allows it.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  let chosen = null;
  try {
    chosen = localStorage.getItem("nutshell.theme");
  } catch {
    // Storage is blocked: the system's choice holds until the page is left.
  }

  const apply = () => {
    root.dataset.theme = chosen ?? (system.matches ? "dark" : "light");
  };

  addEventListener("nutshell:switch-theme", () => {
    chosen = root.dataset.theme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("nutshell.theme", chosen);
    } catch {
      // As above.
    }
    apply();
  });
  system.addEventListener("change", apply);
  apply();
})();
