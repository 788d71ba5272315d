import { isUtf8 } from 'node:buffer';
import { createRequire } from 'node:module';
import type * as Yaml from 'yaml';
import { DecodeError } from './errors.ts';
import { asBuffer, decodeJson, defaultMaxDepth } from './json.ts';
import { readPlainYaml } from './yaml-block.ts';
import { defineOwn, notPlainYaml } from './yaml-quoted.ts';
import { yamlText } from './yaml-print.ts';
import { plainScalar, taggedScalar } from './yaml-scalar.ts';

type Library = typeof Yaml;

const load = createRequire(import.meta.url);
let loaded: Library | undefined;

/** The library is big and slow: it is loaded by the first document that `readPlainYaml` leaves to it. */
function library(): Library {
  loaded ??= load('yaml') as Library;
  return loaded;
}

export interface DecodeYamlOptions {
  readonly maxDepth?: number;
  /** Default 3 MiB, upstream's limit of a request body. */
  readonly maxBytes?: number;
  /** Documents that need the library (anchors, tags, bad syntax) may have this many bytes: it reads about a megabyte a second. Default 128 KiB. */
  readonly maxUnusualBytes?: number;
  /** Refuse a key that a mapping has twice; else the last one wins. */
  readonly strict?: boolean;
}

const defaultMaxBytes = 3 << 20;
const defaultMaxUnusualBytes = 128 << 10;
/** Nodes that aliases may bring in, all together: a bomb of nine nested lists asks for a billion. */
const maxAliasedNodes = 100_000;
const maxNestingMarks = 10_000;

/**
 * One YAML document (or JSON, which is tried first) as a value, with the scalars of Go's YAML 1.1 parser. Keys become
 * strings, aliases copies, integers beyond 2^53 BigInt. Throws DecodeError when malformed, or beyond the limits of size,
 * depth or aliases, or when there is more than one document.
 */
export function decodeYaml(bytes: Uint8Array, options: DecodeYamlOptions = {}): unknown {
  const documents = decodeYamlDocuments(bytes, options);
  if (documents.length > 1) throw new DecodeError('InvalidYaml', 'yaml: expected a single document');
  return documents[0] ?? null;
}

/** Each document of a stream that `---` divides, empty ones left out: what a manifest file holds. */
export function decodeYamlDocuments(bytes: Uint8Array, options: DecodeYamlOptions = {}): unknown[] {
  const {
    maxBytes = defaultMaxBytes,
    maxUnusualBytes = defaultMaxUnusualBytes,
    maxDepth = defaultMaxDepth,
    strict = false,
  } = options;
  if (bytes.length > maxBytes) throw new DecodeError('TooLarge', `the document exceeds ${maxBytes} bytes`);
  if (looksLikeJson(bytes)) {
    try {
      return [decodeJson(bytes, { maxDepth })];
    } catch (error) {
      if (error instanceof DecodeError && error.code !== 'InvalidJson') throw error;
    }
  }
  if (!isUtf8(bytes)) throw new DecodeError('InvalidYaml', 'yaml: invalid UTF-8');
  const text = asBuffer(bytes).toString('utf8').replaceAll('\r\n', '\n');
  try {
    return readPlainYaml(text, { maxDepth, strict });
  } catch (error) {
    if (error !== notPlainYaml) throw error;
  }
  if (bytes.length > maxUnusualBytes) {
    throw new DecodeError(
      'TooLarge',
      `yaml: beyond ${maxUnusualBytes} bytes a document must be JSON or plain block YAML`,
    );
  }
  return readWithLibrary(text, { maxDepth, strict });
}

/** Exported for the test that compares both readers. */
export function readWithLibrary(
  text: string,
  options: { readonly maxDepth: number; readonly strict: boolean },
): unknown[] {
  refuseDeepNesting(text, options.maxDepth);
  try {
    const parsed = library().parseAllDocuments(text, {
      version: '1.1',
      schema: 'failsafe',
      uniqueKeys: false,
      logLevel: 'silent',
    });
    const documents = Array.isArray(parsed) ? parsed : [];
    return documents.filter((one) => !isEmpty(one)).map((one) => new Composition(options).valueOf(one));
  } catch (error) {
    if (error instanceof RangeError) throw new DecodeError('TooDeep', 'exceeded max depth');
    throw error;
  }
}

function looksLikeJson(bytes: Uint8Array): boolean {
  for (const byte of bytes) {
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte === 0x7b || byte === 0x5b;
  }
  return false;
}

/** The library's composer is recursive: what would nest thousands deep is refused before it sees it. */
function refuseDeepNesting(text: string, maxDepth: number): void {
  let marks = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5b || code === 0x7b) {
      if (++marks > maxNestingMarks) throw new DecodeError('TooDeep', 'exceeded max depth');
    } else if ((code === 0x5d || code === 0x7d) && marks > 0) marks--;
  }
  for (const match of text.matchAll(/(?:[-?:][ \t]+){100,}/g)) {
    if (match[0].length > maxDepth * 2) throw new DecodeError('TooDeep', 'exceeded max depth');
  }
}

function isEmpty({ contents, errors }: Yaml.Document.Parsed): boolean {
  if (errors.length > 0) return false;
  return contents === null || (library().isScalar(contents) && contents.source === '' && contents.type === 'PLAIN');
}

/** One document's nodes as plain values. */
class Composition {
  readonly #maxDepth: number;
  readonly #strict: boolean;
  readonly #anchors = new Map<string, Yaml.Node>();
  readonly #expanding = new Set<Yaml.Node>();
  #aliased = 0;
  #insideAlias = 0;

  constructor(options: { readonly maxDepth: number; readonly strict: boolean }) {
    this.#maxDepth = options.maxDepth;
    this.#strict = options.strict;
  }

  valueOf(document: Yaml.Document.Parsed): unknown {
    const [error] = document.errors;
    if (error !== undefined) {
      if (error.message.startsWith('Maximum call stack')) throw new DecodeError('TooDeep', 'exceeded max depth');
      const line = error.linePos?.[0].line;
      const why = (error.message.split('\n')[0] as string).replace(/ at line \d+, column \d+:?$/, '');
      throw new DecodeError('InvalidYaml', line === undefined ? `yaml: ${why}` : `yaml: line ${line}: ${why}`);
    }
    return this.#value(document.contents, 0);
  }

  #value(node: Yaml.Node | null | undefined, depth: number): unknown {
    if (depth > this.#maxDepth) throw new DecodeError('TooDeep', 'exceeded max depth');
    if (node === null || node === undefined) return null;
    const { isAlias, isMap, isScalar, isSeq } = library();
    if (this.#insideAlias > 0 && ++this.#aliased > maxAliasedNodes) {
      throw new DecodeError('TooLarge', 'yaml: document contains excessive aliasing');
    }
    if (isAlias(node)) return this.#alias(node.source, depth);
    if ((isMap(node) || isSeq(node) || isScalar(node)) && node.anchor !== undefined)
      this.#anchors.set(node.anchor, node);
    if (isScalar(node)) return this.#scalar(node);
    if (isSeq(node)) return node.items.map((item) => this.#value(item as Yaml.Node, depth + 1));
    return isMap(node) ? this.#mapping(node, depth) : null;
  }

  #alias(name: string, depth: number): unknown {
    const node = this.#anchors.get(name);
    if (node === undefined) throw new DecodeError('InvalidYaml', `yaml: unknown anchor '${name}' referenced`);
    if (this.#expanding.has(node)) throw new DecodeError('InvalidYaml', `yaml: anchor '${name}' value contains itself`);
    this.#expanding.add(node);
    this.#insideAlias++;
    const value = this.#value(node, depth);
    this.#insideAlias--;
    this.#expanding.delete(node);
    return value;
  }

  #scalar(node: Yaml.Scalar): unknown {
    const text = String(node.value ?? '');
    if (node.tag !== undefined) return taggedScalar(node.tag, text);
    return node.type === 'PLAIN' ? plainScalar(text) : text;
  }

  #mapping(node: Yaml.YAMLMap, depth: number): Record<string, unknown> {
    const mapping: Record<string, unknown> = {};
    const own = new Set<string>();
    const merged: unknown[] = [];
    if (node.anchor !== undefined) this.#expanding.add(node);
    for (const pair of node.items) {
      const key = pair.key as Yaml.Node | null;
      const value = pair.value as Yaml.Node | null;
      if (isMergeKey(key)) {
        const from = this.#value(value, depth + 1);
        merged.push(...(Array.isArray(from) ? from : [from]));
        continue;
      }
      const name = this.#keyText(key, depth);
      if (own.has(name) && this.#strict) {
        throw new DecodeError(
          'InvalidYaml',
          `yaml: unmarshal errors:\n  key ${JSON.stringify(name)} already set in map`,
        );
      }
      own.add(name);
      defineOwn(mapping, name, this.#value(value, depth + 1));
    }
    if (node.anchor !== undefined) this.#expanding.delete(node);
    for (const one of merged) {
      if (typeof one !== 'object' || one === null || Array.isArray(one)) {
        throw new DecodeError('InvalidYaml', 'yaml: map merge requires map or sequence of maps as the value');
      }
      for (const [name, value] of Object.entries(one)) {
        if (!Object.hasOwn(mapping, name)) defineOwn(mapping, name, value);
      }
    }
    return mapping;
  }

  #keyText(key: Yaml.Node | null, depth: number): string {
    const value = this.#value(key, depth + 1);
    if (typeof value === 'object' && value !== null) throw new DecodeError('InvalidYaml', 'yaml: invalid map key');
    return String(value);
  }
}

function isMergeKey(key: Yaml.Node | null): boolean {
  return library().isScalar(key) && key.type === 'PLAIN' && key.value === '<<' && key.tag === undefined;
}

/** A value as YAML in the style of kubectl. */
export function encodeYaml(value: unknown): Buffer {
  return Buffer.from(yamlText(value));
}
