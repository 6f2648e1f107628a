// Markdown as elements. Two barriers: marked is told to take HTML as text, and what it makes goes
// through DOMPurify, which lets only these tags and links to the web through.

import { Marked } from "/page/lib/marked.esm.js";
import "/page/lib/purify.min.js";

const PURIFIER = globalThis.DOMPurify;
const TAGS = [
  "p", "br", "strong", "em", "del", "code", "pre", "ul", "ol", "li", "a", "blockquote", "h4", "hr",
  "table", "thead", "tbody", "tr", "th", "td",
];
const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

const plain = (text) => text.replaceAll(/[&<>"']/g, (letter) => ENTITIES[letter]);

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text, block }) => (block ? `<p>${plain(text.trimEnd())}</p>` : plain(text)),
    text(token) {
      if (token.tokens) return this.parser.parseInline(token.tokens);
      return token.escaped ? token.text : plain(token.text);
    },
    heading({ tokens }) { return `<h4>${this.parser.parseInline(tokens)}</h4>`; },
    image: ({ href, text }) => `<a href="${plain(href)}">${plain(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "\u2611 " : "\u2610 "),
  },
});

PURIFIER.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName === "A") {
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer");
  }
  if (node.tagName === "PRE" || node.tagName === "TABLE") node.setAttribute("tabindex", "0");
});

/** The elements of a text in Markdown. */
export function markdown(text) {
  return PURIFIER.sanitize(marked.parse(text), {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ["href", "start", "align"],
    ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
    RETURN_DOM_FRAGMENT: true,
  });
}
