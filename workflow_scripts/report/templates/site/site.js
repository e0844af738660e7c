"use strict";
// Pages can be read without this script: it folds the contents on narrow screens, and tells DataTables of the dark.

const contents = document.querySelector(".contents details");
// What opens on demand on the screen and belongs to the page on paper.
const folded = document.querySelectorAll("details[data-print]:not([open])");
window.addEventListener("beforeprint", () => folded.forEach((part) => (part.open = true)));
window.addEventListener("afterprint", () => folded.forEach((part) => (part.open = false)));

if (contents && window.matchMedia("(max-width: 63.99rem)").matches) contents.open = false;

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const followScheme = () => document.documentElement.classList.toggle("dark", dark.matches);
dark.addEventListener("change", followScheme);
followScheme();
