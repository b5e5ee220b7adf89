// Sets the theme before the page is drawn. It is not a module, since modules run later. "system" follows
// the system's theme; "light" and "dark" override it in this browser.
(() => {
  let theme = "system";
  try {
    theme = localStorage.getItem("faas-theme") || theme;
  } catch {
    // localStorage is switched off: the system's theme is used.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
