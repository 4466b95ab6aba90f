// The filters of the index. Without this script all incidents are shown.
"use strict";
const selects = document.querySelectorAll(".filters select");
const rows = document.querySelectorAll(".index tbody tr");
const shown = document.getElementById("shown");
const apply = () => {
  let count = 0;
  for (const row of rows) {
    row.hidden = [...selects].some((one) => one.value !== "" && row.dataset[one.name] !== one.value);
    count += row.hidden ? 0 : 1;
  }
  shown.textContent = `${count.toLocaleString("en")} shown`;
};
for (const one of selects) one.addEventListener("change", apply);
apply();
