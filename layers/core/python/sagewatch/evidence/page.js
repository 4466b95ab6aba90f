// The sliders between input and heat map. Without this script each picture stays half and half.
"use strict";
const cut = (range) => range.parentElement.style.setProperty("--cut", range.value + "%");
const each = document.querySelectorAll("input.cut.one");
const all = document.querySelector("input.cut.all");
for (const range of each) {
  cut(range);
  range.addEventListener("input", () => cut(range));
}
if (all) {
  all.addEventListener("input", () => {
    for (const range of each) {
      range.value = all.value;
      cut(range);
    }
  });
}
