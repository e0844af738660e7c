"use strict";
// Pages can be read without this script: it folds the contents on narrow screens.

const contents = document.querySelector(".contents details");
if (contents && window.matchMedia("(max-width: 63.99rem)").matches) contents.open = false;
