/**
 * Schemas of the built-in kinds, made of the models that @kubernetes/client-node generates from Kubernetes'
 * own OpenAPI document: names and types from the classes, descriptions and required members from their
 * declarations. What the models do not say (keys of merged lists, quantities) stands in `model-notes.ts`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as client from '@kubernetes/client-node';
import { isAtomicModel, isQuantityMap, mergeNotes } from './model-notes.ts';
import type { Schema } from './schema.ts';

interface ModelAttribute {
  readonly baseName: string;
  readonly type: string;
  readonly format: string;
}

interface ModelClass {
  getAttributeTypeMap(): readonly ModelAttribute[];
}

interface Declaration {
  readonly description: string;
  readonly members: ReadonlyMap<string, { isRequired: boolean; description: string }>;
}

const declarationsFolder = join(
  dirname(fileURLToPath(import.meta.resolve('@kubernetes/client-node'))),
  'gen/models',
);

const primitives: Readonly<Record<string, Schema>> = {
  string: { type: 'string' },
  boolean: { type: 'boolean' },
  number: { type: 'number' },
  Date: { type: 'string', format: 'date-time' },
  V1MicroTime: { type: 'string', format: 'date-time' },
  IntOrString: { 'x-kubernetes-int-or-string': true },
  any: { 'x-kubernetes-preserve-unknown-fields': true },
  object: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
};

const quantity: Schema = { 'x-kubernetes-int-or-string': true, format: 'quantity' };

/** Makes schemas of models, each once; nested models are shared, so that a schema may contain itself. */
export class ModelSchemas {
  readonly #schemas = new Map<string, Schema>();
  readonly #names = new WeakMap<Schema, string>();

  /** The schema of the model of that name, as `V1PersistentVolumeClaim`. */
  get(model: string): Schema {
    const known = this.#schemas.get(model);
    if (known !== undefined) return known;
    const schema = { type: 'object', properties: {} as Record<string, Schema> };
    this.#schemas.set(model, schema);
    this.#names.set(schema, model);
    const declaration = readDeclaration(model);
    const required: string[] = [];
    for (const attribute of modelClass(model).getAttributeTypeMap()) {
      const declared = declaration.members.get(attribute.baseName);
      if (declared?.isRequired === true) required.push(attribute.baseName);
      schema.properties[attribute.baseName] = this.#member(model, attribute, declared?.description);
    }
    Object.assign(schema, {
      ...(declaration.description === '' ? {} : { description: declaration.description }),
      ...(required.length === 0 ? {} : { required }),
      ...(isAtomicModel(model) ? { 'x-kubernetes-map-type': 'atomic' } : {}),
    });
    return schema;
  }

  /** The name of the model that a schema was made of; undefined for every other schema. */
  nameOf(schema: Schema): string | undefined {
    return this.#names.get(schema);
  }

  #member(model: string, attribute: ModelAttribute, description: string | undefined): Schema {
    const { baseName, type, format } = attribute;
    const base = isQuantityMap(model, baseName)
      ? { type: 'object', additionalProperties: quantity }
      : this.#ofType(type, format);
    const notes = mergeNotes(model, baseName);
    if (!this.#names.has(base)) {
      return {
        ...base,
        ...(description === undefined || description === '' ? {} : { description }),
        ...notes,
      };
    }
    // A nested model is shared: what belongs to one member alone goes into a copy of its own.
    if (Object.keys(notes).length === 0) return base;
    const own = { ...base, ...notes };
    this.#names.set(own, type);
    return own;
  }

  #ofType(type: string, format: string): Schema {
    const list = /^Array<(.+)>$/.exec(type);
    if (list?.[1] !== undefined) return { type: 'array', items: this.#ofType(list[1], format) };
    const map = /^\{ \[key: string\]: (.+); \}$/.exec(type);
    if (map?.[1] !== undefined) {
      return { type: 'object', additionalProperties: this.#ofType(map[1], format) };
    }
    if (type === 'number' && format.startsWith('int')) return { type: 'integer', format };
    const primitive = primitives[type];
    if (primitive === undefined) return this.get(type);
    return type === 'string' && format !== '' ? { ...primitive, format } : primitive;
  }
}

function modelClass(model: string): ModelClass {
  const found = (client as unknown as Record<string, ModelClass | undefined>)[model];
  if (found === undefined) throw new RangeError(`Cannot make a schema of ${model}: no such model`);
  return found;
}

/**
 * Reads what the generated class does not carry at run time. Without the file nothing is required and nothing
 * is described.
 */
function readDeclaration(model: string): Declaration {
  const file = join(declarationsFolder, `${model}.d.ts`);
  if (!existsSync(file)) return { description: '', members: new Map() };
  const text = readFileSync(file, 'utf8');
  const members = new Map<string, { isRequired: boolean; description: string }>();
  const member = /(?:\/\*\*\s*\*\s*((?:(?!\*\/)[^])*?)\s*\*\/\s*)?^ {4}'([^']+)'(\?)?:/gm;
  for (const [, description = '', name = '', optional] of text.matchAll(member)) {
    members.set(name, { isRequired: optional === undefined, description: unescape(description) });
  }
  const head = /\/\*\*\s*\*\s*((?:(?!\*\/)[^])*?)\s*\*\/\s*export declare class/.exec(text);
  return { description: unescape(head?.[1] ?? ''), members };
}

function unescape(text: string): string {
  return text.replaceAll(/\\(['"])/g, '$1').replaceAll(/\s*\n\s*\*\s*/g, '\n');
}
