// What the reader of the page has chosen, kept in this browser.

/**
 * @param {string} name
 * @param {string} otherwise
 */
export function kept(name, otherwise) {
  return localStorage.getItem(`kurs.${name}`) ?? otherwise;
}

/**
 * @param {string} name
 * @param {string} value
 */
export function keep(name, value) {
  localStorage.setItem(`kurs.${name}`, value);
}

const favourites = new Set(kept("favourites", "").split(",").filter(Boolean));

/** @param {string} pair */
export function isFavourite(pair) {
  return favourites.has(pair);
}

/** @param {string} pair */
export function turnFavourite(pair) {
  if (!favourites.delete(pair)) favourites.add(pair);
  keep("favourites", [...favourites].join(","));
}

/** Dark, light, or as the machine has it. */
export function showTheme() {
  const theme = kept("theme", "");
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

export function turnTheme() {
  const dark = getComputedStyle(document.documentElement).getPropertyValue("--is-dark").trim() === "1";
  keep("theme", dark ? "light" : "dark");
  showTheme();
}
