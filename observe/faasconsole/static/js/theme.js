// Sets the theme before the page is drawn. It is no module, since modules run later.
// "system" follows the system; "light" and "dark" overrule it, in this browser.
(() => {
  let theme = "system";
  try {
    theme = localStorage.getItem("faas-theme") || theme;
  } catch {
    // storage is switched off: the system's theme
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
