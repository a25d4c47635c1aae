// Domains of a translator: attributes that it sets, some of which exclude one another
// (zoo/data/domains.py).

/** {names, groups, hiddenBy, seen} of a manifest, or null. */
export function readDomains(manifest) {
  if (manifest.condition?.kind !== "attributes") return null;
  const { groups = [], hidden_by: hiddenBy = {} } = manifest.training?.config ?? {};
  const names = manifest.condition.names;
  const seen = [...new Set([...names, ...names.flatMap((name) => hiddenBy[name] ?? [])])];
  return { names, groups, hiddenBy, seen };
}

/** The group of a domain, or the domain alone. */
const choiceOf = (domains, name) => domains.groups.find((group) => group.includes(name)) ?? [name];

/** All groups, and domains without one, in the order of the names. */
export function choices(domains) {
  return [...new Set(domains.names.map((name) => choiceOf(domains, name).join()))].map((text) => text.split(","));
}

/** The attributes [seen] of an image by its scores: of a group, only the most probable. */
export function decide(domains, scores) {
  const own = [...scores].map((score) => score > 0.5);
  for (const group of domains.groups) {
    const places = group.map((name) => domains.names.indexOf(name));
    const best = places.reduce((a, b) => (scores[b] > scores[a] ? b : a));
    places.forEach((place) => (own[place] &&= place === best));
  }
  return own;
}

/** Targets [names] of an image with attributes `own`, for {name: true to add, false to remove}. */
export function targetsOf(domains, own, request) {
  const targets = own.slice(0, domains.names.length);
  const column = (name) => domains.names.indexOf(name);
  for (const [name, value] of Object.entries(request)) {
    const choice = choiceOf(domains, name);
    const hidden = choice.some((each) =>
      (domains.hiddenBy[each] ?? []).some((other) => own[domains.seen.indexOf(other)]),
    );
    const single = choice.length === 1 || choice.filter((each) => own[column(each)]).length === 1;
    if (hidden || !single) continue;
    choice.forEach((each) => (targets[column(each)] = false));
    targets[column(name)] = value;
  }
  return targets.map(Number);
}

/** {name: true or false} of a text such as `Blond_Hair,-Eyeglasses`; what is unknown is left out. */
export function parseRequest(domains, text) {
  const parts = text.split(",").map((part) => [part.replace(/^-/, ""), !part.startsWith("-")]);
  return Object.fromEntries(parts.filter(([name]) => domains.names.includes(name)));
}

export const writeRequest = (request) =>
  Object.entries(request).map(([name, value]) => (value ? name : `-${name}`)).join(",");
