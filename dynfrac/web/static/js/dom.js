/** Small helpers for the document. */

/**
 * The element of an id.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function el(id) {
  return document.getElementById(id);
}

/**
 * A new element with properties and children.
 * @param {string} name
 * @param {Object<string, any>} [properties]  set as properties, so `className`, `textContent`, ...
 * @param {...(Node|string)} children
 */
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** A new SVG element with attributes. */
export function svg(name, attributes = {}, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  return element;
}

/** Fill a <ul> with sentences; an empty list is hidden. */
export function listSentences(list, sentences) {
  list.replaceChildren(...sentences.map((text) => make("li", { textContent: text })));
  list.hidden = sentences.length === 0;
}

/**
 * Put text on the clipboard; without the permission, false.
 * @param {string} text
 */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** Show a command line with a button that copies it; an empty command empties the holder. */
export function showCommand(holder, command) {
  if (!command) {
    holder.replaceChildren();
    return;
  }
  const code = make("code", { textContent: command, tabIndex: 0 });
  code.setAttribute("aria-label", "Command line");
  const button = make("button", { type: "button", className: "quiet", textContent: "Copy" });
  button.addEventListener("click", async () => {
    if (await copyText(command)) {
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    } else {
      // Without the clipboard the text is selected, so that Ctrl+C is all that is left to do.
      getSelection().selectAllChildren(code);
    }
  });
  holder.replaceChildren(code, button);
}

/** Call `action` once, `wait` ms after the last of many calls. */
export function debounced(action, wait) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(action, wait, ...args);
  };
}
