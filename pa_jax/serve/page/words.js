// Times, names and numbers as people read them.

const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const MINUTE = new Intl.DateTimeFormat(undefined, {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit",
});

export const day = (iso) => DAY.format(new Date(iso));
export const minute = (iso) => MINUTE.format(new Date(iso));
export const percent = (share) => `${Math.round(share * 100)}\u2009%`;

export const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

export function sentence(text) {
  const trimmed = text.trim();
  if (!trimmed) return "";
  const first = trimmed[0].toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

const plain = (id) => {
  const words = id.replaceAll("_", " ");
  return words ? words[0].toUpperCase() + words.slice(1) : id;
};

/** A fact as it is said to its user. */
export const told = (fact) => fact.told ?? fact.statement;

let taxonomy = [];

/** Takes the taxonomy's categories, in the order in which the profile shows them. */
export function learnNames(categories) { taxonomy = categories; }

export const order = () => taxonomy.map((category) => category.id);

export function categoryName(id) {
  return taxonomy.find((category) => category.id === id)?.name ?? plain(id);
}

export const slotName = (category, subcategory) => pathName(`${category}/${subcategory}`);

/** The name of a path "category/subcategory". */
export function pathName(path) {
  const [id, rest] = path.split("/");
  return taxonomy.find((category) => category.id === id)?.slots[path] ?? plain(rest);
}
