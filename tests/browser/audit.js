// What a reader would stumble over, as a list of sentences. Run in a window as tall as the page.
const faults = [];
const told = (element) => {
  const name = element.tagName.toLowerCase() + (element.id ? `#${element.id}` : "");
  const text = (element.textContent || "").trim().replace(/\s+/g, " ").slice(0, 40);
  return text ? `<${name}> “${text}”` : `<${name}>`;
};

// Any CSS colour as [red, green, blue, alpha], 0 to 1, by painting it.
const paper = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
const brush = paper.getContext("2d", { willReadFrequently: true });
const known = new Map();
const colour = (css) => {
  if (!known.has(css)) {
    brush.clearRect(0, 0, 1, 1);
    brush.fillStyle = "#000";
    brush.fillStyle = css;
    brush.fillRect(0, 0, 1, 1);
    known.set(css, [...brush.getImageData(0, 0, 1, 1).data].map((value) => value / 255));
  }
  return known.get(css);
};
const over = (top, below) => {
  const [alpha, rest] = [top[3], 1 - top[3]];
  return [0, 1, 2].map((i) => top[i] * alpha + below[i] * rest).concat(1);
};
const luminance = (rgb) => {
  const [r, g, b] = rgb.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (one, other) => {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
const inSvg = (element) => element.namespaceURI === "http://www.w3.org/2000/svg";
const opacity = (element) => {
  let share = 1;
  for (let e = element; e; e = e.parentElement) share *= Number(getComputedStyle(e).opacity);
  return share;
};
// What an element paints over its whole area, not as text.
const ground = (element) => {
  const style = getComputedStyle(element);
  if (inSvg(element)) {
    const shape = element instanceof SVGGeometryElement && style.fill !== "none";
    if (!shape) return [0, 0, 0, 0];
    const fill = colour(style.fill);
    return [...fill.slice(0, 3), fill[3] * Number(style.fillOpacity) * opacity(element)];
  }
  const back = colour(style.backgroundColor);
  return [...back.slice(0, 3), back[3] * opacity(element)];
};
const outwards = (element) => (element ? [element, ...outwards(element.parentElement)] : []);
const rootGround = over(ground(document.body), over(ground(document.documentElement), colour(
  matchMedia("(prefers-color-scheme: dark)").matches ? "#121212" : "#fff")));

// Everything must answer to a hit test.
const answer = document.createElement("style");
answer.textContent = "* { pointer-events: auto !important; }";
document.head.append(answer);
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const node = texts.currentNode;
  const element = node.parentElement;
  if (!node.data.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
  if (element.closest("script, style, noscript, title, desc, metadata")) continue;
  const range = document.createRange();
  range.selectNodeContents(node);
  const box = [...range.getClientRects()].find((rect) => rect.width > 1 && rect.height > 1);
  if (!box) continue;
  const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
  const stack = document.elementsFromPoint(x, y);
  if (!stack.length) continue; // a link that comes with the focus
  const from = stack.indexOf(element);
  // What has been scrolled away, or is not hit, stands on what it is inside of.
  const behind = (from < 0 ? outwards(element) : stack.slice(from)).reverse();
  const back = behind.reduce((below, each) => over(ground(each), below), rootGround);
  const style = getComputedStyle(element);
  const paint = colour(inSvg(element) ? style.fill : style.color);
  const ink = over([...paint.slice(0, 3), paint[3] * opacity(element)], back);
  const size = parseFloat(style.fontSize) * (inSvg(element) ? element.getScreenCTM().a : 1);
  const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  const found = contrast(ink, back);
  if (found < (large ? 3 : 4.5)) {
    faults.push(`contrast ${found.toFixed(2)}: ${told(element)}`);
  }
  if (size < 9) faults.push(`text of ${size.toFixed(1)} px: ${told(element)}`);
}
answer.remove();

const named = (element) =>
  (element.getAttribute("aria-label") || "").trim() ||
  (element.getAttribute("aria-labelledby") || "").split(/\s+/).some(
    (id) => (document.getElementById(id)?.textContent || "").trim());
for (const image of document.querySelectorAll("img")) {
  if (!image.hasAttribute("alt")) faults.push(`no alt: ${told(image)}`);
  if (!image.complete || !image.naturalWidth) faults.push(`not shown: <img> ${image.alt}`);
}
for (const drawing of document.querySelectorAll("svg")) {
  if (drawing.closest("[aria-hidden=true]") || drawing.parentElement.closest("svg")) continue;
  const title = drawing.querySelector(":scope > title")?.textContent.trim();
  if (drawing.getAttribute("role") !== "img" || !(title || named(drawing))) {
    faults.push(`a drawing without role="img" and title: ${told(drawing)}`);
  }
}
for (const control of document.querySelectorAll("a[href], button, summary")) {
  const alt = [...control.querySelectorAll("img")].map((image) => image.alt).join("");
  if (!control.textContent.trim() && !named(control) && !alt) {
    faults.push(`no name: ${told(control)}`);
  }
}
for (const field of document.querySelectorAll("input, select, textarea")) {
  if (!field.labels?.length && !named(field)) faults.push(`no label: ${told(field)}`);
}
const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => faults.push(`id twice: ${id}`));
for (const link of document.querySelectorAll('a[href^="#"]')) {
  if (!document.getElementById(decodeURIComponent(link.hash.slice(1)))) {
    faults.push(`leads nowhere: ${told(link)}`);
  }
}
let level = 0;
for (const heading of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
  const now = Number(heading.tagName[1]);
  if (now > level + 1) faults.push(`heading skips a level: ${told(heading)}`);
  level = now;
}
if (document.querySelectorAll("h1").length !== 1) faults.push("not one <h1>");
if (!document.title.trim()) faults.push("no title");
if (!document.documentElement.lang) faults.push("no language");

// Nothing but what scrolls by itself may be wider than the window.
const width = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth > width) {
  faults.push(`the page is ${document.documentElement.scrollWidth} px wide, the window ${width}`);
}
for (const element of document.body.querySelectorAll("*")) {
  const box = element.getBoundingClientRect();
  const scrolls = (e) => e && (/auto|scroll|hidden/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  if (box.width && box.right > width + 1 && !inSvg(element) && !scrolls(element.parentElement)) {
    faults.push(`out of the window: ${told(element)}`);
  }
}
return faults;
