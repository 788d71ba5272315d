/**
 * `node:http`, whose names must not be imported one by one: an `import` from it reads all of them, and one makes Node load its whole
 * fetch (27 ms and 4 MiB in every process). Types may be imported as usual.
 */
export const nodeHttp: typeof import('node:http') = process.getBuiltinModule('node:http');
