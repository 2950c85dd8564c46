// Single keys, and the table of them in the help. A field that wants the key itself keeps it.
export function listenToKeys(target, actions, { isOn }) {
  const byKey = new Map(actions.flatMap((action) => action.keys.map((key) => [key, action])));
  // Capturing, so that NiiVue's own keys never see them.
  target.addEventListener("keydown", (event) => {
    const onCanvas = event.target instanceof HTMLCanvasElement;
    const action = byKey.get(event.key.length === 1 ? event.key.toLowerCase() : event.key);
    const wanted = action && isOn() && !event.ctrlKey && !event.altKey && !event.metaKey
      && !event.target.closest("dialog") && (action.onCanvas ? onCanvas : !takesKeys(event.target));
    if (wanted) {
      action.run(event);
      event.preventDefault();
    }
    if (onCanvas && event.key !== "Tab") event.stopImmediatePropagation();
  }, { capture: true });
  target.addEventListener("keyup", (event) => {
    if (event.target instanceof HTMLCanvasElement) event.stopImmediatePropagation();
  }, { capture: true });
}

export function fillKeyTable(body, actions) {
  body.replaceChildren(...actions.map(({ keys, shown, does }) => {
    const row = document.createElement("tr");
    const [left, right] = [document.createElement("td"), document.createElement("td")];
    for (const key of shown ?? keys) {
      const kbd = document.createElement("kbd");
      kbd.textContent = key.length === 1 ? key.toUpperCase() : key;
      left.append(kbd, " ");
    }
    right.textContent = does;
    row.append(left, right);
    return row;
  }));
}

function takesKeys(element) {
  return element.matches("input:not([type=checkbox]):not([type=range]), textarea, select");
}
