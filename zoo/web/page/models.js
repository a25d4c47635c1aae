// What the page can do with a model, from the manifests of its engine files.

import { readDomains } from "./domains.js";

const COMPANIONS = ["encoder", "mapping", "synthesis", "classifier"];
const TASKS = {
  denoising: "Remove noise",
  inpainting: "Fill holes",
  colorization: "Colour grey pictures",
  colour: "Colour grey pictures",
  edges: "Faces from drawn lines",
  domains: "Change attributes",
};

/** Models by name, from manifests by file stem: `vae`, `vae.encoder`, … */
export function describeAll(manifests) {
  const models = new Map();
  for (const [name, manifest] of Object.entries(manifests)) {
    if (!["generator", "translator"].includes(manifest.role)) continue;
    const files = { main: name };
    for (const role of COMPANIONS) {
      if (manifests[`${name}.${role}`]) files[role] = `${name}.${role}`;
    }
    const model = describe(name, manifest, files);
    if (model.views.length) models.set(name, model);
  }
  return models;
}

/** One model. `files` maps the roles of its engine files to their stems. */
export function describe(name, manifest, files) {
  const { paper, image, role, parameters, training } = manifest;
  const model = { name, manifest, files, role, paper, image, parameters };
  model.data = training?.data ?? "";
  model.translates = role === "translator";
  if (model.translates) {
    model.task = manifest.task;
    model.input = manifest.input;
    model.domains = readDomains(manifest);
    model.noisy = Boolean(manifest.noise);
    model.views = !model.domains || "classifier" in files ? ["picture"] : [];
    model.kind = TASKS[model.task] ?? "Translate pictures";
    return model;
  }
  const latent = manifest.latent;
  model.width = latent.width;
  model.priors = latent.prior === "none" ? [] : latent.mixture ? ["normal", "mixture"] : ["normal"];
  model.mixture = latent.mixture;
  // Decoders of plain autoencoders have no prior; the statistics of their latents take its place.
  model.mean = latent.prior === "none" && latent.mean ? latent.mean : null;
  model.std = latent.prior === "none" && latent.std ? latent.std : null;
  model.directions = manifest.directions ?? {};
  const condition = manifest.condition;
  model.classCount = condition?.kind === "classes" ? condition.count : 0;
  model.classes = Array.from({ length: model.classCount }, (_, k) => manifest.classes[k] ?? `${k}`);
  model.layers = manifest.truncation?.layers ?? 0;
  model.styleMean = manifest.truncation?.mean ?? null;
  model.encodes = "encoder" in files;
  model.mixes = model.layers > 0 && "mapping" in files && "synthesis" in files;
  const edits = Object.keys(model.directions).length > 0 || model.classCount > 0;
  model.views = [
    ...(model.priors.length ? ["samples"] : []),
    "plane",
    "corners",
    ...(edits ? ["edit"] : []),
    ...(model.mixes ? ["mix"] : []),
    "picture",
  ];
  model.kind = `Generator, ${model.width} latent values`;
  return model;
}

/** The bands of the layers of a style-based generator, as in zoo.mix: two layers a resolution. */
export function bands(layers) {
  const all = { coarse: [0, 4], middle: [4, 8], fine: [8, layers] };
  return Object.fromEntries(
    Object.entries(all)
      .map(([name, [from, to]]) => [name, [from, Math.min(to, layers)]])
      .filter(([, [from, to]]) => from < to),
  );
}
