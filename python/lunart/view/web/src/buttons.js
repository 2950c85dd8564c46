// Rows of buttons of which one is pressed.
export function makeChoice(container, choices, onChoose) {
  const buttons = choices.map((choice) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = choice.name;
    if (choice.key) button.setAttribute("aria-keyshortcuts", choice.key);
    button.addEventListener("click", () => onChoose(choice));
    return button;
  });
  container.replaceChildren(...buttons);
  return (isPressed) =>
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(Boolean(isPressed(choices[at])))));
}
