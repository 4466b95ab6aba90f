// The sliders between input and heat map, and what is folded is printed. Without this script each picture stays half
// and half.
"use strict";
const cut = (range) => range.parentElement.style.setProperty("--cut", range.value + "%");
const each = document.querySelectorAll("input.cut.one");
const all = document.querySelector("input.cut.all");
for (const range of each) {
  cut(range);
  range.addEventListener("input", () => cut(range));
}
// On paper nothing can be unfolded.
const folded = () => document.querySelectorAll("details:not([open])");
let unfolded = [];
addEventListener("beforeprint", () => {
  unfolded = [...folded()];
  for (const one of unfolded) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of unfolded) one.open = false;
});
if (all) {
  all.addEventListener("input", () => {
    for (const range of each) {
      range.value = all.value;
      cut(range);
    }
  });
}
